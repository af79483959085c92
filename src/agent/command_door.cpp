#include "agent/command_door.h"

namespace ew::agent {
namespace {

constexpr int64_t kMaxCommandBytes = 4096;

Result<std::unique_ptr<Source>> create(const Settings& /*settings*/, const std::string& /*name*/) {
  return std::unique_ptr<Source>(std::make_unique<CommandDoor>());
}

constexpr SourceType kType = {
    .name = "http-commands", .help = "", .words = {}, .create = create, .has_own_time = false};

}  // namespace

Status CommandDoor::start(const SourceContext& context) {
  intake_ = &context.intake;
  // It never keeps an app alive whose other sources have ended.
  intake_->set_state(LinkState::kFinished, "");
  return {};
}

void CommandDoor::push(std::string_view payload, std::function<void()> done) {
  if (intake_ == nullptr) return;
  const uint64_t token = next_token_++;
  waiting_.push_back({token, std::move(done)});
  RawRecord record;
  record.payload = payload;
  record.ack_token = token;
  intake_->push(record);
  if (intake_ != nullptr) intake_->end_batch();
}

void CommandDoor::acknowledge(uint64_t token) {
  while (!waiting_.empty() && waiting_.front().token <= token) {
    const std::function<void()> done = std::move(waiting_.front().done);
    waiting_.pop_front();
    done();
  }
}

SourcePlan command_door_plan() {
  SourcePlan plan;
  plan.name = "(http)";
  plan.type = &kType;
  plan.is_commands = true;
  plan.decode.max_payload = kMaxCommandBytes;
  plan.decode.max_keys = 1;
  return plan;
}

bool is_command_door(const SourcePlan& plan) { return plan.type == &kType; }

}  // namespace ew::agent
