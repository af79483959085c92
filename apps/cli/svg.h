#pragma once
// Writes SVG elements; all text is escaped here.

#include <string>

namespace ew::cli {

/// `text` with the characters that mean something in XML replaced.
std::string escape_xml(const std::string& text);

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

/// 8231 -> "8.2 kB", 1200000 -> "1.2 M" with an empty unit.
std::string short_number(double value, const char* unit);

class Svg {
 public:
  enum class Anchor { kStart, kMiddle, kEnd };

  Svg(double width, double height);

  void rect(double x, double y, double width, double height, const std::string& fill);
  void line(double x1, double y1, double x2, double y2, const std::string& stroke);
  void text(double x, double y, const std::string& text, double size = 12,
            Anchor anchor = Anchor::kStart, const std::string& fill = "#222");
  void bold(double x, double y, const std::string& text, double size = 14);

  /// The whole document.
  std::string finish() const { return body_ + "</svg>\n"; }

 private:
  std::string body_;
};

}  // namespace ew::cli
