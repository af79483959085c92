#include "agent/topic_batches.h"

#include <algorithm>
#include <utility>

namespace ew::agent {

TopicBatches::Added TopicBatches::add(std::string_view topic, const Output& output,
                                      size_t max_bytes) {
  if (is_full_) return Added::kFull;
  auto batch = std::ranges::find(open_, topic, &Batch::topic);
  if (batch == open_.end()) {
    if (open_.size() >= options_.max_topics) {
      is_full_ = true;
      return Added::kFull;
    }
    open_.push_back({.topic = std::string(topic), .body = {}, .tickets = {}});
    batch = open_.end() - 1;
    batch->body.reserve(body_bytes_);
  }
  const size_t before = batch->body.size();
  append_output(batch->body, output, options_.format);
  // With the bracket that closes it.
  if (batch->topic.size() + batch->body.size() + 1 > max_bytes) {
    batch->body.resize(before);
    if (before == 0) {
      open_.erase(batch);
      return Added::kTooLarge;
    }
    is_full_ = true;
    return Added::kFull;
  }
  batch->tickets.push_back(output.ticket);
  is_full_ = batch->tickets.size() >= options_.max_outputs || batch->body.size() >= kMaxBatchBytes;
  return Added::kYes;
}

TopicBatches::Batch TopicBatches::take() {
  Batch batch = std::move(open_.front());
  open_.pop_front();
  is_full_ = is_full_ && !open_.empty();
  end_batch(batch.body, options_.format);
  body_bytes_ = batch.body.size() + batch.body.size() / 8;
  return batch;
}

void TopicBatches::clear() {
  open_.clear();
  is_full_ = false;
}

}  // namespace ew::agent
