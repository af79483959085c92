// Made-up sensors, for load tests and first steps: {"id":"s3","seq":41,"ts":<us>,"temp":23.1}.
#include <cmath>

#include "agent/line_feed.h"
#include "agent/value.h"
#include "base/rng.h"

namespace ew::agent {
namespace {

constexpr size_t kBatch = 256;
constexpr int64_t kStepUs = 1000;

constexpr WordDef kWords[] = {
    {.name = "rate",
     .kind = WordKind::kNumber,
     .help = "messages a second; 0: as fast as they go",
     .fallback = "10",
     .min = 0},
    {.name = "count",
     .kind = WordKind::kInteger,
     .help = "messages in all; 0: no end",
     .fallback = "0",
     .min = 0},
    {.name = "sensors",
     .kind = WordKind::kInteger,
     .help = "how many take turns",
     .fallback = "10",
     .min = 1,
     .max = 1e6},
    {.name = "mean", .kind = WordKind::kNumber, .help = "of the value `temp`", .fallback = "20"},
    {.name = "swing",
     .kind = WordKind::kNumber,
     .help = "of its sine over 600 messages",
     .fallback = "5"},
    {.name = "noise",
     .kind = WordKind::kNumber,
     .help = "uniform, up to this",
     .fallback = "0.5",
     .min = 0},
    {.name = "seed",
     .kind = WordKind::kInteger,
     .help = "of the noise",
     .fallback = "0",
     .min = 0}};

class SyntheticSource final : public Source {
 public:
  explicit SyntheticSource(const Settings& s)
      : rate_(s.number("rate")),
        count_(static_cast<uint64_t>(s.integer("count"))),
        sensors_(static_cast<uint64_t>(s.integer("sensors"))),
        mean_(s.number("mean")),
        swing_(s.number("swing")),
        noise_(s.number("noise")),
        rng_(static_cast<uint64_t>(s.integer("seed"))) {}

  Status start(const SourceContext& context) override {
    loop_ = &context.loop;
    intake_ = &context.intake;
    sent_ = context.resume_position;
    started_at_ = sent_;
    start_us_ = loop_->steady_us();
    intake_->set_state(LinkState::kConnected, "");
    wake(0);
    return {};
  }
  void pause() override { is_paused_ = true; }
  void resume() override {
    if (!is_paused_) return;
    is_paused_ = false;
    if (!is_stopped_) wake(0);
  }
  void stop() override {
    is_stopped_ = true;
    if (loop_ != nullptr) loop_->cancel(timer_);
  }
  // It can make any message again, which is what tests of durability want.
  bool is_durable() const override { return true; }

 private:
  void wake(int64_t delay_us) {
    loop_->cancel(timer_);
    timer_ = loop_->call_after(delay_us, [this] { make(); });
  }

  void make() {
    if (is_stopped_ || is_paused_) return;
    uint64_t due = kBatch;
    if (rate_ > 0) {
      const double seconds = static_cast<double>(loop_->steady_us() - start_us_) / 1e6;
      const auto wanted = started_at_ + static_cast<uint64_t>(seconds * rate_) + 1;
      due = wanted > sent_ ? std::min<uint64_t>(wanted - sent_, 4096) : 0;
    }
    uint64_t made = 0;
    for (; made < due && !is_paused_ && (count_ == 0 || sent_ < count_); ++made) push();
    if (made > 0) intake_->end_batch();
    if (count_ > 0 && sent_ >= count_) return intake_->set_state(LinkState::kFinished, "");
    if (is_stopped_ || is_paused_) return;
    const auto gap = rate_ > 0 ? static_cast<int64_t>(1e6 / rate_) : 0;
    wake(rate_ > 0 ? std::max<int64_t>(kStepUs, gap) : 0);
  }

  void push() {
    text_ = "{\"id\":\"s";
    text_ += std::to_string(sent_ % sensors_);
    text_ += "\",\"seq\":";
    text_ += std::to_string(sent_);
    text_ += ",\"ts\":";
    text_ += std::to_string(intake_->now_us());
    text_ += ",\"temp\":";
    const double phase = static_cast<double>(sent_ % 600) / 600 * 6.283185307179586;
    const double value = mean_ + swing_ * std::sin(phase) + noise_ * (2 * rng_.uniform() - 1);
    append_json_number(text_, std::round(value * 100) / 100);
    text_ += '}';
    ++sent_;
    intake_->push({.payload = text_, .position = sent_});
  }

  double rate_;
  uint64_t count_;
  uint64_t sensors_;
  double mean_;
  double swing_;
  double noise_;
  Rng rng_;
  host::EventLoop* loop_ = nullptr;
  Intake* intake_ = nullptr;
  host::EventLoop::TimerId timer_;
  std::string text_;
  uint64_t sent_ = 0;
  uint64_t started_at_ = 0;
  int64_t start_us_ = 0;
  bool is_paused_ = false;
  bool is_stopped_ = false;
};

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string& /*name*/) {
  return std::unique_ptr<Source>(std::make_unique<SyntheticSource>(settings));
}

}  // namespace

const SourceType kSyntheticSource{.name = "synthetic",
                                  .help = "made-up sensors for load tests",
                                  .words = kWords,
                                  .create = create};

}  // namespace ew::agent
