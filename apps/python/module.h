#pragma once
// What the parts of the Python module _edgewise share. Python code in edgewise/ gives it its
// friendly face; nothing here is meant to be called by users.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "edgewise/edgewise.h"

namespace ew::python {

namespace py = pybind11;

/// Each adds its classes and functions to the module.
void bind_arrays(py::module_& module);
void bind_models(py::module_& module);
void bind_optimize(py::module_& module);

/// A model, and who is at work with it while the interpreter lock is released. Its methods are
/// called with the lock held.
class SharedModel {
 public:
  explicit SharedModel(Model model) : model_(std::move(model)) {}

  /// Use of the model for as long as this lives. Throws Exception (kInvalidArgument) if that would
  /// race with training that has not ended, in another thread or around a callback.
  class Use {
   public:
    enum Kind { kRead, kChange };
    Use(SharedModel& shared, Kind kind);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Model& operator*() const { return shared_.model_; }
    Model* operator->() const { return &shared_.model_; }

   private:
    SharedModel& shared_;
    Kind kind_;
  };

 private:
  Model model_;
  int readers_ = 0;
  bool is_changing_ = false;
};

/// Calls from long native work back into Python. Work that runs without the interpreter lock
/// reports here; an exception that Python raises (KeyboardInterrupt among them) stops the work
/// through `interrupted` and is raised again by finish().
class Callbacks {
 public:
  const std::atomic<bool>* interrupted() const { return &interrupted_; }

  /// Lets Python handle signals, at most every 20 ms.
  void poll_signals();

  /// Calls `function` with the interpreter lock held; false if an exception stands by now.
  template <typename Function>
  bool call(Function&& function) {
    if (interrupted_) return false;
    const py::gil_scoped_acquire lock;
    try {
      std::forward<Function>(function)();
    } catch (...) {
      raised_ = std::current_exception();
      interrupted_ = true;
    }
    return !interrupted_;
  }

  /// With the interpreter lock held, after the work.
  void finish() {
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
  }

 private:
  std::atomic<bool> interrupted_{false};
  std::exception_ptr raised_;
  std::chrono::steady_clock::time_point last_poll_ = std::chrono::steady_clock::now();
};

/// FitOptions whose callbacks call `on_step` (epoch, step, steps, figures) and `on_epoch_end`
/// (epoch, figures; false ends the training), either of which may be None.
FitOptions with_callbacks(FitOptions options, Callbacks& callbacks, const py::object& on_step,
                          const py::object& on_epoch_end);

}  // namespace ew::python
