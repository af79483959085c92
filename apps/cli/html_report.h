#pragma once
// What `edgewise optimize` did, as a picture and as a page that needs nothing but itself.

#include <string>

#include "edgewise/optimize.h"

namespace ew::cli {

/// What the report is about, for its title.
struct ReportTitle {
  std::string model;  ///< file name
  std::string data;
};

/// An SVG picture: accuracy, size and computing before and after, the confusion matrix after, bytes
/// by layer. Parts without figures are left out.
std::string report_svg(const OptimizeReport& report, const ReportTitle& title);

/// An HTML page with the picture, the table of layers and the notes; opens without a network.
std::string report_html(const OptimizeReport& report, const ReportTitle& title);

/// Error kInvalidArgument unless the path ends in .html or .svg.
Result<void> check_report_path(const std::string& path);

/// Writes the page or the picture, by suffix; the file appears whole or not at all. Error kIo.
Result<void> write_report(const std::string& path, const OptimizeReport& report,
                          const ReportTitle& title);

}  // namespace ew::cli
