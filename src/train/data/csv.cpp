#include "train/data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace ew::train {
namespace {

constexpr size_t kWindow = size_t{1} << 20;
constexpr size_t kMaxRecord = size_t{16} << 20;

enum class Outcome { kDone, kNeedsMore, kTextAfterQuote };

void trim(std::string& text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  size_t begin = 0;
  while (begin < text.size() && is_space(text[begin])) ++begin;
  text.erase(0, begin);
}

// One record from the beginning of `text`; `used` counts its bytes, line end included.
class RecordParser {
 public:
  RecordParser(std::string_view text, char separator, std::vector<std::string>& fields)
      : text_(text), separator_(separator), fields_(fields) {}

  Outcome parse(bool is_end) {
    size_t count = 0;
    while (true) {
      if (count == fields_.size()) fields_.emplace_back();
      std::string& field = fields_[count++];
      field.clear();
      bool was_quoted = false;
      const Outcome outcome = parse_field(field, was_quoted);
      if (outcome != Outcome::kDone) return outcome;
      if (!was_quoted) trim(field);
      if (at_ == text_.size() && !is_end) return Outcome::kNeedsMore;
      if (at_ < text_.size() && text_[at_] == separator_) {
        ++at_;
        continue;
      }
      if (at_ < text_.size()) ++at_;  // the line feed
      fields_.resize(count);
      return Outcome::kDone;
    }
  }
  size_t used() const { return at_; }

 private:
  bool at_field_end() const {
    return at_ == text_.size() || text_[at_] == separator_ || text_[at_] == '\n';
  }

  Outcome parse_field(std::string& field, bool& was_quoted) {
    while (at_ < text_.size() && text_[at_] == ' ' && separator_ != ' ') ++at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      was_quoted = true;
      return parse_quoted(field);
    }
    const size_t begin = at_;
    while (!at_field_end()) ++at_;
    field.assign(text_.substr(begin, at_ - begin));
    return Outcome::kDone;
  }

  Outcome parse_quoted(std::string& field) {
    ++at_;
    while (true) {
      const size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) return Outcome::kNeedsMore;
      field.append(text_.substr(at_, quote - at_));
      at_ = quote + 1;
      if (at_ == text_.size() || text_[at_] != '"') break;
      field += '"';
      ++at_;
    }
    while (!at_field_end() && (text_[at_] == ' ' || text_[at_] == '\r')) ++at_;
    return at_field_end() ? Outcome::kDone : Outcome::kTextAfterQuote;
  }

  std::string_view text_;
  char separator_;
  std::vector<std::string>& fields_;
  size_t at_ = 0;
};

Error text_after_quote() { return invalid_data("text after a closing quote"); }
Error open_quote() { return invalid_data("a quote is opened and never closed"); }

}  // namespace

Status CsvReader::refill() {
  window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ = 0;
  const size_t had = window_.size();
  const auto more =
      std::min<int64_t>(static_cast<int64_t>(std::max(kWindow, had)), file_->size() - window_end_);
  window_.resize(had + static_cast<size_t>(more));
  EW_TRY_VOID(file_->read(window_end_, std::span(window_).subspan(had)));
  const bool is_first = window_end_ == 0;
  window_end_ += more;
  if (is_first && window_.size() >= 3 && std::memcmp(window_.data(), "\xef\xbb\xbf", 3) == 0) {
    at_ = 3;
  }
  return {};
}

Result<bool> CsvReader::next(CsvRecord& record) {
  while (true) {
    const bool is_end = window_end_ == file_->size();
    const std::string_view text(reinterpret_cast<const char*>(window_.data()) + at_,
                                window_.size() - at_);
    if (text.empty() && is_end) return false;
    RecordParser parser(text, separator_, record.fields);
    const Outcome outcome = text.empty() ? Outcome::kNeedsMore : parser.parse(is_end);
    const auto fail = [&](const Error& error) { return at(str(file_->path(), ":", line_), error); };
    if (outcome == Outcome::kTextAfterQuote) return fail(text_after_quote());
    if (outcome == Outcome::kDone ? parser.used() > kMaxRecord : text.size() > kMaxRecord) {
      return fail(make_error(ErrorCode::kResourceLimit, "a line of more than ", kMaxRecord,
                             " bytes, or a quote that is never closed"));
    }
    if (outcome == Outcome::kNeedsMore) {
      if (is_end) return fail(open_quote());
      EW_TRY_VOID(refill());
      continue;
    }
    record.line = line_;
    record.offset = window_end_ - static_cast<int64_t>(text.size());
    record.bytes = static_cast<int64_t>(parser.used());
    at_ += parser.used();
    line_ += std::count(text.begin(), text.begin() + record.bytes, '\n');
    const bool is_blank = record.fields.size() == 1 && record.fields[0].empty();
    if (!is_blank) return true;
  }
}

Status parse_csv_record(std::string_view text, char separator, std::vector<std::string>& fields) {
  switch (RecordParser(text, separator, fields).parse(true)) {
    case Outcome::kTextAfterQuote:
      return text_after_quote();
    case Outcome::kNeedsMore:
      return open_quote();
    case Outcome::kDone:
      break;
  }
  return {};
}

bool parse_csv_number(std::string_view text, double& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
}

}  // namespace ew::train
