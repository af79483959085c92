#include "agent/frame_queue.h"

#include "agent/background.h"
#include "agent/source.h"

namespace ew::agent {
namespace {

constexpr int64_t kWaitUs = 1'000'000;

}  // namespace

bool FrameQueue::has_room(size_t bytes) {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (frames_.size() < capacity_) return true;
      if (policy_ == LatePolicy::kDropOldest) return true;
      if (policy_ == LatePolicy::kDropNewest) {
        ++lost_;
        lost_bytes_ = bytes;
        return false;
      }
    }
    // take_turn() wakes it.
    if (!background_->wait(kWaitUs)) return false;
  }
}

void FrameQueue::offer(QueuedFrame frame) {
  {
    const std::lock_guard lock(mutex_);
    while (frames_.size() >= capacity_) {
      ++lost_;
      lost_bytes_ = frames_.front().payload.size();
      frames_.pop_front();
    }
    frames_.push_back(std::move(frame));
  }
  post_turn();
}

void FrameQueue::note_lost(size_t count, size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    lost_ += count;
    lost_bytes_ = bytes;
  }
  post_turn();
}

void FrameQueue::finish(std::function<void()> then) {
  {
    const std::lock_guard lock(mutex_);
    at_end_ = std::move(then);
  }
  post_turn();
}

void FrameQueue::post_turn() {
  {
    const std::lock_guard lock(mutex_);
    if (has_turn_) return;
    has_turn_ = true;
  }
  background_->post([this] { take_turn(); });
}

void FrameQueue::take_turn() {
  std::optional<QueuedFrame> frame;
  uint64_t lost = 0;
  size_t lost_bytes = 0;
  std::function<void()> at_end;
  bool has_more = false;
  {
    const std::lock_guard lock(mutex_);
    has_turn_ = false;
    lost = std::exchange(lost_, 0);
    lost_bytes = lost_bytes_;
    if (!is_paused_ && !frames_.empty()) {
      frame = std::move(frames_.front());
      frames_.pop_front();
    }
    has_more = !frames_.empty();
    if (!frame && !has_more) at_end = std::exchange(at_end_, nullptr);
    has_more = has_more || at_end_ != nullptr;
  }
  for (; lost > 0; --lost) intake_->drop(name_, lost_bytes, DropReason::kOverload);
  if (frame) {
    if (policy_ == LatePolicy::kWait) background_->wake();
    intake_->push({.event_time_us = frame->event_time_us,
                   .topic = name_,
                   .key = name_,
                   .payload = frame->payload});
    intake_->end_batch();
  }
  if (has_more && !is_paused_) post_turn();
  if (at_end) at_end();
}

void FrameQueue::resume() {
  if (!is_paused_) return;
  is_paused_ = false;
  if (background_ != nullptr) post_turn();
}

}  // namespace ew::agent
