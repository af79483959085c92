#pragma once
// Payloads on their way from a source's thread to the event loop's: a bounded queue that says what
// is given up when processing is late.

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace ew::agent {

class Background;
class Intake;

enum class LatePolicy { kDropOldest, kDropNewest, kWait };

struct QueuedFrame {
  std::string payload;
  int64_t event_time_us = 0;
};

/// offer() and has_room() are for the source's thread, the rest for the loop's. Each frame is
/// processed in a turn of the loop of its own, so that others have theirs in between.
class FrameQueue {
 public:
  /// `key` and `topic` of the records. The queue is full with `capacity` frames.
  FrameQueue(std::string name, size_t capacity, LatePolicy policy)
      : name_(std::move(name)), capacity_(capacity), policy_(policy) {}

  void start(Background& background, Intake& intake) {
    background_ = &background;
    intake_ = &intake;
  }

  /// False if a frame offered now would be given up: it is counted, and need not be made. Waits
  /// where the policy says so. `bytes` is the frame's size for the count.
  bool has_room(size_t bytes);
  void offer(QueuedFrame frame);
  /// Counts what the source itself lost: `count` blocks of `bytes`.
  void note_lost(size_t count, size_t bytes);
  /// Calls `then` on the loop's thread once all before it is processed.
  void finish(std::function<void()> then);

  void pause() { is_paused_ = true; }
  void resume();

 private:
  void post_turn();
  void take_turn();

  std::string name_;
  size_t capacity_;
  LatePolicy policy_;
  Background* background_ = nullptr;
  Intake* intake_ = nullptr;
  bool is_paused_ = false;  // the loop's thread only

  std::mutex mutex_;
  std::deque<QueuedFrame> frames_;
  uint64_t lost_ = 0;
  size_t lost_bytes_ = 0;  // of one
  bool has_turn_ = false;  // a turn is posted and has not begun
  std::function<void()> at_end_;
};

}  // namespace ew::agent
