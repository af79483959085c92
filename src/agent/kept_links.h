#pragma once
// Connections that go on when another version of the app takes over.

#include <map>
#include <memory>
#include <string>

#include "agent/settings.h"
#include "agent/sink.h"
#include "agent/source.h"
#include "host/event_loop.h"

namespace ew::agent {

/// Between two agents: moved to the loop of the next one, which does not run yet.
struct KeptLinks {
  std::unique_ptr<host::EventLoop> loop;
  std::map<std::string, std::unique_ptr<Source>> sources = {};
  std::map<std::string, std::unique_ptr<Sink>> sinks = {};

  /// Null if there is none of this name.
  std::unique_ptr<Source> take_source(const std::string& name);
  std::unique_ptr<Sink> take_sink(const std::string& name);
};

/// All that a connection hangs on: the words of a source or sink without those that are the
/// queue's, and the state of the certificates and password files that they name. Two are equal if a
/// connection made by one serves the other.
std::string link_words(const Settings& settings);

}  // namespace ew::agent
