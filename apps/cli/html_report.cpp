#include "html_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>

#include "svg.h"

namespace ew::cli {
namespace {

using Anchor = Svg::Anchor;

constexpr double kWidth = 920;
constexpr double kMargin = 24;
constexpr double kPanelTop = 76;
constexpr size_t kMaxLayers = 24;
constexpr const char* kBefore = "#b8c4d6";
constexpr const char* kAfter = "#2f6fde";

std::string percent(double share) { return format("%.2f %%", 100 * share); }

/// "4.1x smaller", or nothing to say.
std::string ratio(double before, double after, const char* word) {
  return after > 0 && before > after ? format("%.1f\u00d7 %s", before / after, word) : "";
}

/// Two bars under a heading, full width at `full` or at the larger one; returns the y below them.
double bar_pair(Svg& svg, double y, const std::string& heading, const std::string& remark,
                double full, double before, double after, const std::string& before_text,
                const std::string& after_text) {
  constexpr double kLeft = kMargin + 52;
  constexpr double kBar = 220;
  const double top = std::max({before, after, full});
  svg.bold(kMargin, y, heading, 13);
  if (!remark.empty()) {
    svg.text(kMargin + 400, y, remark, 12, Anchor::kEnd, kAfter);
  }
  const auto bar = [&](double bar_y, const char* name, double value, const std::string& text,
                       const char* fill) {
    svg.text(kMargin, bar_y + 12, name, 12, Anchor::kStart, "#666");
    const double width = std::max(1.0, kBar * value / top);
    svg.rect(kLeft, bar_y, width, 16, fill);
    svg.text(kLeft + width + 6, bar_y + 12, text);
  };
  bar(y + 8, "before", before, before_text, kBefore);
  bar(y + 28, "after", after, after_text, kAfter);
  return y + 72;
}

std::string accuracy_text(const SizeFigures& figures) {
  std::string text = percent(figures.accuracy);
  if (figures.accuracy_high > figures.accuracy_low) {
    text += format(" (%.1f \u2013 %.1f)", 100 * figures.accuracy_low, 100 * figures.accuracy_high);
  }
  return text;
}

double draw_bars(Svg& svg, const OptimizeReport& report) {
  const SizeFigures& b = report.before;
  const SizeFigures& a = report.after;
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  double y = kPanelTop;
  y = bar_pair(svg, y, "Accuracy on the test part",
               format("%+.2f points", 100 * (a.accuracy - b.accuracy)), 1, b.accuracy, a.accuracy,
               accuracy_text(b), accuracy_text(a));
  y = bar_pair(svg, y, "Weights", ratio(number(b.bytes), number(a.bytes), "smaller"), 1,
               number(b.bytes), number(a.bytes), short_number(number(b.bytes), "B"),
               short_number(number(a.bytes), "B"));
  y = bar_pair(svg, y, "Weights, deflated",
               ratio(number(b.compressed_bytes), number(a.compressed_bytes), "smaller"), 1,
               number(b.compressed_bytes), number(a.compressed_bytes),
               short_number(number(b.compressed_bytes), "B"),
               short_number(number(a.compressed_bytes), "B"));
  return bar_pair(svg, y, "Zero weights", "", 1, b.zero_fraction, a.zero_fraction,
                  percent(b.zero_fraction), percent(a.zero_fraction));
}

/// White to blue; diagonal cells are what one hopes for, others red.
std::string cell_colour(double share, bool is_diagonal) {
  const auto mix = [&](double full) {
    return static_cast<int>(std::lround(255 + share * (full - 255)));
  };
  return is_diagonal ? format("#%02x%02x%02x", mix(47), mix(111), mix(222))
                     : format("#%02x%02x%02x", mix(214), mix(60), mix(60));
}

std::string class_name(const OptimizeReport& report, size_t k) {
  return k < report.class_names.size() ? report.class_names[k] : std::to_string(k);
}

/// Side length of a square matrix, 0 if `counts` is none that can be drawn.
size_t matrix_side(std::span<const int64_t> counts) {
  const auto side = static_cast<size_t>(std::lround(std::sqrt(static_cast<double>(counts.size()))));
  return side * side == counts.size() && side >= 2 && side <= 32 ? side : 0;
}

double draw_confusion(Svg& svg, const OptimizeReport& report) {
  const std::span<const int64_t> counts = report.confusion_after;
  const size_t n = matrix_side(counts);
  if (n == 0) return kPanelTop;
  constexpr double kLeft = 552;
  constexpr double kSide = 340;
  const double cell = kSide / static_cast<double>(n);
  const double top = kPanelTop + 14;
  const double font = std::clamp(cell * 0.36, 5.0, 12.0);
  svg.bold(kLeft, kPanelTop, "After, on the test part: true class by row, predicted by column", 13);
  for (size_t i = 0; i < n; ++i) {
    int64_t total = 0;
    for (size_t j = 0; j < n; ++j) total += counts[i * n + j];
    const double y = top + static_cast<double>(i) * cell;
    svg.text(kLeft - 6, y + cell / 2 + 4, class_name(report, i), std::min(12.0, font + 1),
             Anchor::kEnd, "#666");
    for (size_t j = 0; j < n; ++j) {
      const int64_t count = counts[i * n + j];
      const double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0;
      const double x = kLeft + static_cast<double>(j) * cell;
      // Errors are few: their colour grows with the root, so that they can be seen.
      svg.rect(x + 0.5, y + 0.5, cell - 1, cell - 1,
               cell_colour(i == j ? share : std::sqrt(share), i == j));
      if (count > 0) {
        svg.text(x + cell / 2, y + cell / 2 + font * 0.36, std::to_string(count), font,
                 Anchor::kMiddle, share > 0.5 ? "#fff" : "#222");
      }
    }
  }
  return top + kSide + 24;
}

double draw_layers(Svg& svg, const OptimizeReport& report, double y) {
  std::vector<const LayerFigures*> layers;
  for (const LayerFigures& layer : report.layers) {
    if (layer.bytes_before > 0) layers.push_back(&layer);
  }
  if (layers.empty()) return y;
  // Pointers into one vector: layers of one size stay in the model's order.
  std::sort(layers.begin(), layers.end(), [](const LayerFigures* a, const LayerFigures* b) {
    return a->bytes_before != b->bytes_before ? a->bytes_before > b->bytes_before : a < b;
  });
  const size_t shown = std::min(layers.size(), kMaxLayers);
  const auto largest = static_cast<double>(layers[0]->bytes_before);
  svg.bold(kMargin, y, "Weights by layer, before and after", 13);
  y += 12;
  for (size_t k = 0; k < shown; ++k, y += 30) {
    const LayerFigures& layer = *layers[k];
    const auto before = static_cast<double>(layer.bytes_before);
    const auto after = static_cast<double>(layer.bytes_after);
    constexpr double kLeft = 200;
    constexpr double kBar = 430;
    svg.text(kLeft - 8, y + 16, layer.name, 12, Anchor::kEnd);
    svg.rect(kLeft, y, std::max(1.0, kBar * before / largest), 10, kBefore);
    svg.rect(kLeft, y + 11, std::max(1.0, kBar * after / largest), 10, kAfter);
    svg.text(kWidth - kMargin, y + 16,
             short_number(before, "B") + " \u2192 " + short_number(after, "B") + ", " +
                 layer.dtype + format(", %.0f %% zero", 100 * layer.zero_fraction_after),
             12, Anchor::kEnd, "#444");
  }
  if (shown < layers.size()) {
    svg.text(kMargin, y + 14, format("and %zu smaller layers", layers.size() - shown), 12,
             Anchor::kStart, "#666");
    y += 20;
  }
  return y + 8;
}

std::string layer_table(const OptimizeReport& report) {
  std::string rows;
  for (const LayerFigures& layer : report.layers) {
    rows +=
        "<tr><td>" + escape_xml(layer.name) + "</td><td>" + escape_xml(layer.dtype) +
        format(
            "</td><td>%lld</td><td>%lld</td><td>%lld</td><td>%.1f %%</td><td>%.1f %%</td>"
            "<td>%lld</td></tr>\n",
            static_cast<long long>(layer.parameters), static_cast<long long>(layer.bytes_before),
            static_cast<long long>(layer.bytes_after), 100 * layer.zero_fraction_before,
            100 * layer.zero_fraction_after, static_cast<long long>(layer.macs));
  }
  return "<h2>Layers</h2>\n<table><tr><th>layer</th><th>stored as</th><th>parameters</th>"
         "<th>bytes before</th><th>bytes after</th><th>zeros before</th><th>zeros after</th>"
         "<th>multiply-accumulates</th></tr>\n" +
         rows + "</table>\n";
}

std::string verdict(const OptimizeReport& report) {
  return report.accepted ? "Accepted: accuracy fell by no more than was allowed."
                         : "Not accepted: accuracy fell by more than was allowed.";
}

std::string heading(const ReportTitle& title) {
  return title.model + (title.data.empty() ? "" : " on " + title.data);
}

}  // namespace

std::string report_svg(const OptimizeReport& report, const ReportTitle& title) {
  // The height is known once everything has been drawn.
  const auto draw = [&](Svg& svg) {
    svg.bold(kMargin, 34, "edgewise optimize: " + heading(title), 18);
    svg.text(kMargin, 54, verdict(report), 12, Anchor::kStart, "#666");
    const double below = std::max(draw_bars(svg, report), draw_confusion(svg, report));
    return draw_layers(svg, report, below);
  };
  Svg measure(kWidth, 0);
  Svg svg(kWidth, draw(measure) + 8);
  draw(svg);
  return svg.finish();
}

std::string report_html(const OptimizeReport& report, const ReportTitle& title) {
  std::string notes;
  for (const std::string& note : report.notes) notes += "<li>" + escape_xml(note) + "</li>\n";
  if (!notes.empty()) notes = "<h2>Notes</h2>\n<ul>\n" + notes + "</ul>\n";
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>" +
         escape_xml(heading(title)) +
         "</title>\n<style>\n"
         "body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2em auto; "
         "padding: 0 1em; color: #222; background: #fff }\n"
         "svg { max-width: 100%; height: auto }\n"
         "table { border-collapse: collapse; font-size: 13px }\n"
         "th, td { border-bottom: 1px solid #ddd; padding: 4px 10px; text-align: right }\n"
         "th:first-child, td:first-child { text-align: left }\n"
         "</style></head><body>\n" +
         report_svg(report, title) + notes + layer_table(report) + "</body></html>\n";
}

Result<void> check_report_path(const std::string& path) {
  if (path.ends_with(".html") || path.ends_with(".svg")) return {};
  return Error{ErrorCode::kInvalidArgument,
               "--report: expected a file name ending in .html or .svg, found '" + path + "'"};
}

Result<void> write_report(const std::string& path, const OptimizeReport& report,
                          const ReportTitle& title) {
  const std::string text =
      path.ends_with(".svg") ? report_svg(report, title) : report_html(report, title);
  const std::string partial = path + ".part";
  std::FILE* file = std::fopen(partial.c_str(), "wb");
  bool is_written =
      file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) is_written = std::fclose(file) == 0 && is_written;
  if (is_written && std::rename(partial.c_str(), path.c_str()) == 0) return {};
  std::remove(partial.c_str());
  return Error{ErrorCode::kIo, path + ": the report could not be written"};
}

}  // namespace ew::cli
