#pragma once
// Outputs that gather by topic until they leave, each topic's in one message.

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "agent/batch_body.h"

namespace ew::agent {

class TopicBatches {
 public:
  struct Options {
    BatchFormat format;
    size_t max_outputs = 1;  ///< in one batch
    size_t max_topics = 64;  ///< that are open at once
  };
  struct Batch {
    std::string topic;
    std::string body;  ///< closed by take()
    std::vector<uint64_t> tickets;
  };
  enum class Added : uint8_t {
    kYes,
    kFull,      ///< not taken: take() must come first
    kTooLarge,  ///< not taken: larger than a message may be
  };

  explicit TopicBatches(const Options& options) : options_(options) {}

  /// `max_bytes`: of topic and body together.
  Added add(std::string_view topic, const Output& output, size_t max_bytes);
  /// Whether no further output would be taken, or might not be.
  bool is_full() const { return is_full_; }
  bool is_empty() const { return open_.empty(); }
  /// The oldest batch, whose body is closed. Something must be open.
  Batch take();
  void clear();

 private:
  Options options_;
  std::deque<Batch> open_;  // in the order of their first output
  size_t body_bytes_ = 0;   // of the last one that was taken: the next is likely to be as large
  bool is_full_ = false;
};

}  // namespace ew::agent
