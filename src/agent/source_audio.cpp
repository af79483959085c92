// `type: audio`: sound of a microphone through ALSA, read on a thread of its own.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "agent/background.h"
#include "agent/frame_queue.h"
#include "agent/plugin/audio_plugin.h"
#include "agent/source.h"
#include "agent/tensor_payload.h"
#include "agent/value.h"
#include "base/clock.h"
#include "base/plugin.h"

namespace ew::agent {

Result<const AudioPlugin*> audio() {
  return load_plugin_table<AudioPlugin>("audio", kAudioPluginSymbol, kAudioPluginVersion);
}

namespace {

/// The times of the sound may differ so much from the clock before they are set anew.
constexpr int64_t kMaxDriftUs = 2'000'000;
constexpr int64_t kReadsPerSecond = 50;
constexpr size_t kMaxSamples = 16 << 20;

constexpr const char* kPolicies[] = {"drop_oldest", "drop_newest", "wait"};

constexpr WordDef kWords[] = {
    {.name = "device",
     .help = "of ALSA, for example plughw:1,0, or a name of asound.conf",
     .fallback = "default"},
    {.name = "rate",
     .kind = WordKind::kInteger,
     .help = "samples a second",
     .fallback = "16000",
     .min = 1000,
     .max = 384000},
    {.name = "length",
     .kind = WordKind::kDuration,
     .help = "of the sound in one record",
     .fallback = "1s",
     .min = 0.001},
    {.name = "every",
     .kind = WordKind::kDuration,
     .help = "from one record's begin to the next one's; less than length: they overlap; without "
             "it, length"},
    {.name = "duration",
     .kind = WordKind::kDuration,
     .help = "after so much sound it has finished; 0: no end",
     .fallback = "0"},
    {.name = "timeout",
     .kind = WordKind::kDuration,
     .help = "without sound for so long it connects again",
     .fallback = "10s",
     .min = 0.1},
    {.name = "retry_max",
     .kind = WordKind::kDuration,
     .help = "longest wait between two tries",
     .fallback = "30s",
     .min = 0.5},
    {.name = "waiting",
     .kind = WordKind::kInteger,
     .help = "records that may wait to be processed",
     .fallback = "16",
     .min = 1,
     .max = 1000},
    {.name = "late",
     .kind = WordKind::kChoice,
     .help = "what is given up when they are full; wait: the device keeps what it can",
     .fallback = "drop_oldest",
     .choices = kPolicies},
};

struct AudioPlan {
  AudioAddress address;
  std::string name;
  size_t length = 0;    ///< samples of a record
  size_t step = 0;      ///< samples from one record's begin to the next one's
  size_t duration = 0;  ///< samples in all; 0: no end
  int64_t retry_max_us = 0;
  size_t waiting = 1;
  LatePolicy late{};
};

class AudioSource final : public Source {
 public:
  explicit AudioSource(AudioPlan plan)
      : plan_(std::move(plan)),
        queue_(plan_.name, plan_.waiting, plan_.late),
        chunk_(static_cast<size_t>(std::max<int64_t>(1, plan_.address.rate / kReadsPerSecond))) {}

  Status start(const SourceContext& context) override {
    EW_TRY(plugin_, audio());
    intake_ = &context.intake;
    background_.emplace(context.loop);
    plan_.address.is_stopping = [this] { return background_->is_stopping(); };
    queue_.start(*background_, *intake_);
    background_->start([this] { run(); });
    return {};
  }
  void pause() override { queue_.pause(); }
  void resume() override { queue_.resume(); }
  void stop() override { background_.reset(); }

 private:
  void run() {
    BackOff back_off(500'000, plan_.retry_max_us);
    while (!background_->is_stopping()) {
      set_state(LinkState::kConnecting, "");
      Result<std::unique_ptr<AudioReader>> reader = plugin_->open(plan_.address);
      Status ended = reader.ok() ? Status() : Status(reader.error());
      if (reader.ok()) {
        set_state(LinkState::kConnected, (*reader)->summary());
        ended = read_on(**reader, back_off);
      }
      if (background_->is_stopping()) return;
      if (ended.ok()) {
        queue_.finish([this] { intake_->set_state(LinkState::kFinished, ""); });
        return;
      }
      set_state(LinkState::kDisconnected, ended.error().message);
      background_->wait(back_off.next());
    }
  }

  /// Until the device is gone, or `duration` is over, or the source stops.
  Status read_on(AudioReader& reader, BackOff& back_off) {
    begin_anew();
    while (plan_.duration == 0 || read_ < plan_.duration) {
      const size_t most =
          plan_.duration == 0 ? chunk_.size() : std::min(chunk_.size(), plan_.duration - read_);
      EW_TRY(const AudioRead got, reader.read(std::span(chunk_).first(most)));
      if (background_->is_stopping()) return {};
      if (got.is_overrun) note_overrun();
      if (got.samples == 0) continue;
      back_off.reset();
      read_ += got.samples;
      take(std::span<const int16_t>(chunk_).first(got.samples));
    }
    return {};
  }

  /// Records never span a gap.
  void begin_anew() {
    window_.clear();
    skip_ = 0;
    base_us_ = kNoTime;
    since_base_ = 0;
  }

  /// By the clock: the device does not say how much it had no room for.
  void note_overrun() {
    size_t lost = 0;
    if (base_us_ != kNoTime) {
      const int64_t behind_us = system_clock_us() - time_us();
      if (behind_us > 0) lost = static_cast<size_t>(behind_us * plan_.address.rate / 1'000'000);
    }
    const size_t records = std::max<size_t>(1, (window_.size() + lost) / plan_.step);
    queue_.note_lost(records, plan_.length * sizeof(int16_t));
    begin_anew();
  }

  void take(std::span<const int16_t> samples) {
    since_base_ += samples.size();
    const int64_t now = system_clock_us();
    if (base_us_ == kNoTime || std::abs(time_us() - now) > kMaxDriftUs) {
      base_us_ = now - span_us(since_base_);
    }
    const size_t skipped = std::min(skip_, samples.size());
    skip_ -= skipped;
    samples = samples.subspan(skipped);
    window_.insert(window_.end(), samples.begin(), samples.end());
    while (window_.size() >= plan_.length) {
      const size_t behind = window_.size() - plan_.length;
      give(time_us() - span_us(behind));
      const size_t dropped = std::min(plan_.step, window_.size());
      window_.erase(window_.begin(), window_.begin() + static_cast<int64_t>(dropped));
      skip_ = plan_.step - dropped;
    }
  }

  void give(int64_t end_us) {
    const size_t bytes = plan_.length * sizeof(int16_t);
    const uint64_t number = number_++;
    if (!queue_.has_room(bytes)) return;
    std::string json = str("{\"block\":", number, ",\"time\":");
    append_json_number(json, static_cast<double>(end_us) / 1e6);
    json += str(",\"rate\":", plan_.address.rate, "}");
    QueuedFrame frame{encode_tensor(json, DType::kI16, bytes), end_us};
    std::memcpy(tensor_elements(frame.payload, json.size()).data(), window_.data(), bytes);
    queue_.offer(std::move(frame));
  }

  int64_t span_us(size_t samples) const {
    return static_cast<int64_t>(samples) * 1'000'000 / plan_.address.rate;
  }
  /// Of the end of what was read.
  int64_t time_us() const { return base_us_ + span_us(since_base_); }

  void set_state(LinkState state, const std::string& detail) {
    background_->post([this, state, detail] { intake_->set_state(state, detail); });
  }

  AudioPlan plan_;
  const AudioPlugin* plugin_ = nullptr;
  Intake* intake_ = nullptr;
  FrameQueue queue_;
  // Of the thread, once it runs.
  std::vector<int16_t> chunk_;
  std::vector<int16_t> window_;  ///< what the next records begin with
  size_t skip_ = 0;              ///< samples before the next record's begin
  uint64_t number_ = 0;
  size_t read_ = 0;
  int64_t base_us_ = kNoTime;  ///< of the first sample since it began anew
  size_t since_base_ = 0;
  // Last, so that the thread ends before what it uses.
  std::optional<Background> background_;
};

size_t samples_of(const Settings& s, const char* word) {
  const double seconds = static_cast<double>(s.duration_us(word)) / 1e6;
  return static_cast<size_t>(std::llround(seconds * static_cast<double>(s.integer("rate"))));
}

Result<std::unique_ptr<Source>> create(const Settings& s, const std::string& name) {
  AudioPlan plan;
  plan.name = name;
  plan.address.device = s.text("device");
  plan.address.rate = static_cast<int>(s.integer("rate"));
  plan.address.timeout_us = s.duration_us("timeout");
  plan.length = samples_of(s, "length");
  plan.step = s.has("every") ? samples_of(s, "every") : plan.length;
  plan.duration = samples_of(s, "duration");
  plan.retry_max_us = s.duration_us("retry_max");
  plan.waiting = static_cast<size_t>(s.integer("waiting"));
  plan.late = s.text("late") == "wait"          ? LatePolicy::kWait
              : s.text("late") == "drop_newest" ? LatePolicy::kDropNewest
                                                : LatePolicy::kDropOldest;
  for (const char* word : {"length", "every"}) {
    const size_t samples = word[0] == 'l' ? plan.length : plan.step;
    if (samples < 1 || samples > kMaxSamples) {
      return s.error(word,
                     str("expected 1 to ", kMaxSamples, " samples at this rate, found ", samples));
    }
  }
  return std::unique_ptr<Source>(std::make_unique<AudioSource>(std::move(plan)));
}

size_t tensor_size(const Settings& s) { return samples_of(s, "length"); }

constexpr TensorSource kTensor{
    .field = "samples", .size = tensor_size, .to_set = "length and rate"};

}  // namespace

extern const SourceType kAudioSource;
const SourceType kAudioSource{.name = "audio",
                              .help = "sound of a microphone (ALSA)",
                              .words = kWords,
                              .create = create,
                              .has_own_time = true,
                              .tensor = &kTensor};

}  // namespace ew::agent
