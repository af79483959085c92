#include "html_report.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "svg.h"
#include "testing/temporary_folder.h"

namespace ew::cli {
namespace {

OptimizeReport example() {
  OptimizeReport report;
  report.before = {.accuracy = 0.9, .accuracy_low = 0.894, .accuracy_high = 0.906};
  report.before.bytes = 400000;
  report.before.compressed_bytes = 372000;
  report.after = {.accuracy = 0.895, .accuracy_low = 0.889, .accuracy_high = 0.901};
  report.after.bytes = 100000;
  report.after.compressed_bytes = 31000;
  report.after.zero_fraction = 0.8;
  report.layers = {{.name = "dense<1>", .dtype = "int8", .parameters = 100000},
                   {.name = "flatten", .dtype = "float32"}};
  report.layers[0].bytes_before = 400000;
  report.layers[0].bytes_after = 100000;
  report.confusion_after = {90, 10, 20, 80};
  report.class_names = {"cat & dog", "bird"};
  report.notes = {"sparsity 0.9 cost too much; went back to 0.8"};
  report.accepted = true;
  return report;
}

/// Whether every element that is opened is closed in order, and nothing else has a '<'.
bool is_balanced(const std::string& text) {
  std::vector<std::string> open;
  for (size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at + 1)) {
    const size_t end = text.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = text.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find(' '));
    if (name == "!DOCTYPE" || name == "meta" || tag.back() == '/') continue;
    if (name[0] != '/') {
      open.push_back(name);
    } else if (open.empty() || open.back() != name.substr(1)) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("report: the picture holds the figures and escapes names") {
  const std::string svg = report_svg(example(), {.model = "base_model.h5", .data = "a<b"});
  CHECK(is_balanced(svg));
  CHECK(svg.starts_with("<svg "));
  for (const char* part :
       {"base_model.h5 on a&lt;b", "90.00 %", "89.50 %", "-0.50 points", "400 kB", "100 kB",
        "4.0\u00d7 smaller", "12.0\u00d7 smaller", "80.00 %", "dense&lt;1&gt;", "cat &amp; dog"}) {
    CHECK_MESSAGE(has(svg, part), part);
  }
}

TEST_CASE("report: the page stands alone") {
  const std::string html = report_html(example(), {.model = "m.h5", .data = ""});
  CHECK(is_balanced(html));
  CHECK(has(html, "went back to 0.8"));
  CHECK(has(html, "<td>flatten</td>"));
  for (const char* reference : {"<script", "<link", "src=", "href=", "url(", "@import"}) {
    CHECK_MESSAGE(!has(html, reference), reference);
  }
}

TEST_CASE("report: parts without figures are left out") {
  OptimizeReport report;
  const std::string svg = report_svg(report, {});
  CHECK(is_balanced(svg));
  CHECK_FALSE(has(svg, "by layer"));
  CHECK_FALSE(has(svg, "true class"));
  CHECK(has(svg, "Not accepted"));
  CHECK_FALSE(has(svg, "nan"));
  CHECK_FALSE(has(svg, "inf"));
}

TEST_CASE("report: files are written by suffix, whole or not at all") {
  const testing::TemporaryFolder folder;
  CHECK(check_report_path("a.html").ok());
  CHECK(check_report_path("a.svg").ok());
  CHECK(check_report_path("a.pdf").error().code == ErrorCode::kInvalidArgument);
  REQUIRE(write_report(folder.path("r.svg"), example(), {}).ok());
  std::stringstream text;
  text << std::ifstream(folder.path("r.svg")).rdbuf();
  CHECK(text.str() == report_svg(example(), {}));
  CHECK_FALSE(std::filesystem::exists(folder.path("r.svg.part")));
  CHECK(write_report(folder.path("missing/r.html"), example(), {}).error().code == ErrorCode::kIo);
}

TEST_CASE("report: numbers are short and have a prefix") {
  CHECK(short_number(0, "B") == "0 B");
  CHECK(short_number(999, "B") == "999 B");
  CHECK(short_number(999.6, "B") == "1.0 kB");
  CHECK(short_number(8231, "B") == "8.2 kB");
  CHECK(short_number(412345, "B") == "412 kB");
  CHECK(short_number(1200000, "") == "1.2 M");
}

}  // namespace ew::cli
