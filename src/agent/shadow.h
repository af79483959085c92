#pragma once
// A new model beside the old one, on live data: only the old one's results count until the new one
// has shown that it agrees and is fast enough (`shadow:` of a model in the app file).

#include <memory>
#include <string>
#include <vector>

#include "agent/bytes_io.h"
#include "agent/model_runner.h"
#include "agent/settings.h"

namespace ew::agent {

enum class ShadowState : uint8_t {
  kRunning,   ///< both models run
  kSwitched,  ///< the new one has taken over
  kKept,      ///< the old one stays
};
const char* shadow_state_name(ShadowState state);

/// Runs both models until it is told what was decided. What it compares is a function of its
/// inputs; what it measures is not, so that decisions are records of the journal.
class ShadowRunner final : public ModelRunner {
 public:
  /// `settings` as the app file has them; both models take and give as many values.
  ShadowRunner(std::unique_ptr<ModelRunner> old_model, std::unique_ptr<ModelRunner> new_model,
               const Settings& settings);
  /// What does not fit together, or "".
  static std::string fault(const ModelRunner& old_model, const ModelRunner& new_model,
                           const Settings& settings);

  size_t input_size() const override { return active().input_size(); }
  size_t output_size() const override { return active().output_size(); }
  std::vector<size_t> output_sizes() const override { return active().output_sizes(); }
  void run(std::span<const float> input, std::span<float> output) override;
  std::string device() const override { return active().device(); }
  std::string fallback_reason() const override { return active().fallback_reason(); }
  std::string version() const override { return active().version(); }
  size_t memory_bytes() const override;

  struct Figures {
    ShadowState state{};
    uint64_t compared = 0;
    uint64_t needed = 0;
    uint64_t agreed = 0;
    double old_us = 0;  ///< mean time of one run
    double new_us = 0;
    std::string reason;  ///< of the decision
  };
  Figures figures() const;
  std::string new_version() const { return new_->version(); }

  /// True once, when all samples are there and nothing is decided.
  bool wants_decision();
  /// What the figures say: whether the new model takes over, and why or why not.
  bool judge(std::string& reason) const;
  /// wants_decision() is true again.
  void ask_again() { is_asked_ = false; }
  void decide(bool is_switched, std::string_view reason);

  /// Tells whether saved figures belong to these models and settings.
  const std::string& signature() const { return signature_; }
  void save(ByteWriter& out) const;
  bool load(ByteReader& in);

 private:
  ModelRunner& active() { return state_ == ShadowState::kSwitched ? *new_ : *old_; }
  const ModelRunner& active() const { return state_ == ShadowState::kSwitched ? *new_ : *old_; }
  bool agrees(std::span<const float> old_values, std::span<const float> new_values) const;

  std::unique_ptr<ModelRunner> old_;
  std::unique_ptr<ModelRunner> new_;
  std::string signature_;
  bool compares_classes_ = true;
  float tolerance_ = 0;
  double agreement_ = 0;
  double slowdown_ = 0;
  double max_us_ = 0;
  uint64_t needed_ = 0;
  size_t first_output_ = 0;  ///< values of it

  ShadowState state_ = ShadowState::kRunning;
  uint64_t compared_ = 0;
  uint64_t agreed_ = 0;
  double old_us_sum_ = 0;  ///< over compared_ runs
  double new_us_sum_ = 0;
  std::string reason_;
  bool is_asked_ = false;
  std::vector<float> new_output_;
};

}  // namespace ew::agent
