#include "svg.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace ew::cli {

std::string escape_xml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML 1.0 has no way to write control characters.
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

std::string format(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(nullptr, 0, pattern, arguments);
  va_end(arguments);
  std::string out(size > 0 ? static_cast<size_t>(size) : 0, '\0');
  if (size > 0) std::vsnprintf(out.data(), out.size() + 1, pattern, again);
  va_end(again);
  return out;
}

std::string short_number(double value, const char* unit) {
  const char* const kPrefixes[] = {"", "k", "M", "G", "T"};
  size_t k = 0;
  while (std::abs(value) >= 999.5 && k + 1 < std::size(kPrefixes)) {
    value /= 1000;
    ++k;
  }
  const char* pattern = k == 0 || std::abs(value) >= 99.95 ? "%.0f %s%s" : "%.1f %s%s";
  std::string text = format(pattern, value, kPrefixes[k], unit);
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

Svg::Svg(double width, double height)
    : body_(format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
                   "height=\"%g\" font-family=\"system-ui, sans-serif\">\n",
                   width, height, width, height)) {
  rect(0, 0, width, height, "#fff");
}

void Svg::rect(double x, double y, double width, double height, const std::string& fill) {
  body_ += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x,
                  y, width, height, fill.c_str());
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& stroke) {
  body_ += format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1,
                  x2, y2, stroke.c_str());
}

void Svg::text(double x, double y, const std::string& text, double size, Anchor anchor,
               const std::string& fill) {
  const char* const kAnchors[] = {"start", "middle", "end"};
  body_ += format("<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" text-anchor=\"%s\" fill=\"%s\">", x,
                  y, size, kAnchors[static_cast<size_t>(anchor)], fill.c_str()) +
           escape_xml(text) + "</text>\n";
}

void Svg::bold(double x, double y, const std::string& text, double size) {
  body_ += format("<text x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" font-weight=\"600\" fill=\"#222\">",
                  x, y, size) +
           escape_xml(text) + "</text>\n";
}

}  // namespace ew::cli
