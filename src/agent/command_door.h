#pragma once
// What operators say over HTTP, as a source of its own: it goes through the journal like a source
// with `role: commands`, so that replays and restarts see it too.

#include <deque>
#include <functional>

#include "agent/app.h"

namespace ew::agent {

class CommandDoor final : public Source {
 public:
  /// Takes one command; `done` is called once it is stored and carried out.
  void push(std::string_view payload, std::function<void()> done);

  Status start(const SourceContext& context) override;
  void acknowledge(uint64_t token) override;
  void stop() override { intake_ = nullptr; }

 private:
  struct Waiting {
    uint64_t token = 0;
    std::function<void()> done;
  };
  Intake* intake_ = nullptr;
  uint64_t next_token_ = 1;
  std::deque<Waiting> waiting_;
};

/// The source that an app with `http:` has beside those of its file. No app file can name it.
SourcePlan command_door_plan();
bool is_command_door(const SourcePlan& plan);

}  // namespace ew::agent
