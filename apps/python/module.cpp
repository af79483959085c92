// The Python module _edgewise: errors, and calls back into Python.
#include "module.h"

namespace ew::python {
namespace {

/// Raises the library's errors as edgewise.Error, with the code's name in `code`.
void translate(std::exception_ptr raised) {
  try {
    if (raised) std::rethrow_exception(std::move(raised));
  } catch (const Exception& e) {
    const py::object type = py::module_::import("edgewise._edgewise").attr("Error");
    py::object error = type(e.error().message);
    error.attr("code") = error_code_name(e.error().code);
    PyErr_SetObject(type.ptr(), error.ptr());
  }
}

void bind_errors(py::module_& module) {
  const auto error = py::reinterpret_steal<py::object>(PyErr_NewExceptionWithDoc(
      "edgewise.Error",
      "What failed and why. `code` is one of invalid_argument, invalid_data, unsupported, "
      "not_found, io, resource_limit, bar_not_met, interrupted, internal.",
      nullptr, nullptr));
  error.attr("code") = error_code_name(ErrorCode::kInternal);
  module.attr("Error") = error;
  py::register_exception_translator(&translate);
}

}  // namespace

SharedModel::Use::Use(SharedModel& shared, Kind kind) : shared_(shared), kind_(kind) {
  if (shared.is_changing_ || (kind == kChange && shared.readers_ > 0)) {
    throw Exception({ErrorCode::kInvalidArgument,
                     "the model is in use by fit() or another call that has not returned; a "
                     "callback gets its figures as arguments"});
  }
  if (kind == kChange) {
    shared.is_changing_ = true;
  } else {
    ++shared.readers_;
  }
}

SharedModel::Use::~Use() {
  if (kind_ == kChange) {
    shared_.is_changing_ = false;
  } else {
    --shared_.readers_;
  }
}

void Callbacks::poll_signals() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_poll_ < std::chrono::milliseconds(20)) return;
  last_poll_ = now;
  call([] {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
}

FitOptions with_callbacks(FitOptions options, Callbacks& callbacks, const py::object& on_step,
                          const py::object& on_epoch_end) {
  options.interrupted = callbacks.interrupted();
  // By reference: the options live no longer than the call that got the objects.
  options.on_progress = [&callbacks, &on_step](int64_t epoch, int64_t step, int64_t steps,
                                               const Figures& figures) {
    callbacks.poll_signals();
    if (!on_step.is_none()) callbacks.call([&] { on_step(epoch, step, steps, figures); });
  };
  if (!on_epoch_end.is_none()) {
    options.on_epoch_end = [&callbacks, &on_epoch_end](int64_t epoch, const Figures& figures) {
      bool goes_on = true;
      return callbacks.call([&] { goes_on = py::cast<bool>(on_epoch_end(epoch, figures)); }) &&
             goes_on;
    };
  }
  return options;
}

}  // namespace ew::python

PYBIND11_MODULE(_edgewise, module) {
  module.attr("__version__") = EW_VERSION;
  ew::python::bind_errors(module);
  ew::python::bind_arrays(module);
  ew::python::bind_models(module);
  ew::python::bind_optimize(module);
}
