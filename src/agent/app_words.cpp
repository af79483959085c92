// The words of app files. `edgewise check`, the JSON Schema and the guide's tables come from here.
#include "agent/app.h"
#include "agent/region.h"

namespace ew::agent {
namespace {

using K = WordKind;

constexpr const char* kFormats[] = {"json", "csv", "text", "raw", "cbor", "sparkplug", "binary"};
constexpr const char* kTimeUnits[] = {"s", "ms", "us", "ns", "iso"};
constexpr const char* kRoles[] = {"data", "commands"};
constexpr const char* kPolicies[] = {"reject", "drop_oldest", "drop_lowest_priority"};
constexpr const char* kWindowTypes[] = {"tumbling", "hopping", "sliding", "session", "count"};
constexpr const char* kModelResults[] = {"values", "argmax",     "max",   "best",
                                         "error",  "detections", "counts"};
constexpr const char* kSeverities[] = {"info", "warning", "critical"};
constexpr const char* kRuleKinds[] = {"alert", "event"};

constexpr WordDef kJournalWords[] = {{.name = "disk",
                                      .kind = K::kSize,
                                      .help = "most bytes of stored input",
                                      .fallback = "1G",
                                      .min = 1 << 20},
                                     {.name = "snapshot_every",
                                      .kind = K::kSize,
                                      .help = "stored input between two snapshots",
                                      .fallback = "32M",
                                      .min = 1 << 16},
                                     {.name = "compression",
                                      .kind = K::kInteger,
                                      .help = "zstd level; 0: none",
                                      .fallback = "0",
                                      .min = 0,
                                      .max = 19}};

constexpr WordDef kEncryptionWords[] = {
    {.name = "key_file",
     .help = "32 bytes or 64 hexadecimal digits that only the owner can read, or credential:NAME",
     .is_required = true}};

constexpr WordDef kHttpTlsWords[] = {
    {.name = "certificate", .help = "chain of the server (PEM)", .is_required = true},
    {.name = "key", .help = "of the certificate (PEM)", .is_required = true},
    {.name = "ca", .help = "clients must show a certificate that leads to one of these"}};

constexpr WordDef kHttpWords[] = {
    {.name = "port",
     .kind = K::kInteger,
     .help = "where it listens; 0: a free one",
     .is_required = true,
     .min = 0,
     .max = 65535},
    {.name = "host", .help = "address where it listens", .fallback = "127.0.0.1"},
    {.name = "rate",
     .kind = K::kNumber,
     .help = "requests a second of all clients together",
     .fallback = "50",
     .min = 0.1,
     .max = 1e5},
    {.name = "tls", .kind = K::kMap, .help = "needed beyond loopback", .words = kHttpTlsWords}};

constexpr WordDef kAppWords[] = {
    {.name = "app", .help = "the app's name", .is_required = true},
    {.name = "state",
     .help = "folder for queue, ledger and token; without it nothing survives a "
             "restart"},
    {.name = "journal",
     .kind = K::kMap,
     .help = "how input is stored before it is acknowledged",
     .words = kJournalWords},
    {.name = "encryption",
     .kind = K::kMap,
     .help = "of what is stored in the state folder",
     .words = kEncryptionWords},
    {.name = "hashing",
     .kind = K::kMap,
     .help = "makes the pseudonyms of `hash` unguessable",
     .words = kEncryptionWords},
    {.name = "http",
     .kind = K::kMap,
     .help = "health, metrics, ledger and alerts over HTTP",
     .words = kHttpWords},
    {.name = "sources",
     .kind = K::kMap,
     .help = "where messages come from, by name",
     .is_required = true},
    {.name = "models", .kind = K::kMap, .help = "model files, by name"},
    {.name = "streams", .kind = K::kMap, .help = "filters, windows, models, by name"},
    {.name = "rules", .kind = K::kMap, .help = "conditions that raise alerts, by name"},
    {.name = "sinks", .kind = K::kMap, .help = "where messages go, by name", .is_required = true}};

constexpr WordDef kSourceWords[] = {
    {.name = "type", .help = "the kind of source", .is_required = true},
    {.name = "format",
     .kind = K::kChoice,
     .help = "of the payload",
     .fallback = "json",
     .choices = kFormats},
    {.name = "columns", .kind = K::kTexts, .help = "names of CSV columns; files have a first line"},
    {.name = "layout", .kind = K::kList, .help = "fields of a binary payload"},
    {.name = "separator", .help = "between CSV columns", .fallback = ","},
    {.name = "key", .help = "field whose value is the key, such as the device's name"},
    {.name = "key_level",
     .kind = K::kInteger,
     .help = "level of the topic that is the key, from 1",
     .min = 1,
     .max = 64},
    {.name = "time", .help = "field with the event time; without it, the time of arrival"},
    {.name = "time_unit",
     .kind = K::kChoice,
     .help = "of the event time, since 1970",
     .fallback = "s",
     .choices = kTimeUnits},
    {.name = "max_ahead",
     .kind = K::kDuration,
     .help = "event times further ahead of the clock count as the time of arrival",
     .fallback = "1d"},
    {.name = "max_payload",
     .kind = K::kSize,
     .help = "larger messages are dropped",
     .fallback = "1M",
     .min = 1,
     .max = 256.0 * 1024 * 1024},
    {.name = "max_keys",
     .kind = K::kInteger,
     .help = "records of further keys are dropped",
     .fallback = "10000",
     .min = 1,
     .max = 200'000},
    {.name = "role",
     .kind = K::kChoice,
     .help = "data, or commands of an operator",
     .fallback = "data",
     .choices = kRoles}};

constexpr WordDef kQueueWords[] = {{.name = "memory",
                                    .kind = K::kSize,
                                    .help = "kept in memory, then spilled to the state folder",
                                    .fallback = "4M",
                                    .min = 4096},
                                   {.name = "disk",
                                    .kind = K::kSize,
                                    .help = "most bytes on disk",
                                    .fallback = "256M",
                                    .min = 1 << 20},
                                   {.name = "max_age",
                                    .kind = K::kDuration,
                                    .help = "older outputs are dropped; 0: no limit",
                                    .fallback = "0"},
                                   {.name = "when_full",
                                    .kind = K::kChoice,
                                    .help = "what is given up",
                                    .fallback = "reject",
                                    .choices = kPolicies}};

constexpr WordDef kSinkWords[] = {{.name = "type", .help = "the kind of sink", .is_required = true},
                                  {.name = "from",
                                   .kind = K::kTexts,
                                   .help = "streams and rules that it takes",
                                   .is_required = true},
                                  {.name = "queue",
                                   .kind = K::kMap,
                                   .help = "what waits while the sink is down or slow",
                                   .words = kQueueWords}};

constexpr const char* kFills[] = {"last", "linear", "none"};

constexpr WordDef kResampleWords[] = {
    {.name = "every",
     .kind = K::kDuration,
     .help = "between two rows, at multiples of it since 1970",
     .is_required = true,
     .min = 1e-6},
    {.name = "fill",
     .kind = K::kChoice,
     .help = "between two records: the last value, a line, or nothing",
     .fallback = "last",
     .choices = kFills},
    {.name = "max_gap",
     .kind = K::kDuration,
     .help = "a longer silence is not filled",
     .fallback = "1m"}};

constexpr WordDef kWindowWords[] = {
    {.name = "type",
     .kind = K::kChoice,
     .help = "how records are grouped",
     .is_required = true,
     .choices = kWindowTypes},
    {.name = "size",
     .kind = K::kDuration,
     .help = "length of tumbling, hopping, sliding windows",
     .min = 1e-3,
     .max = 366.0 * 86400},
    {.name = "every",
     .kind = K::kDuration,
     .help = "between starts of hopping windows",
     .min = 1e-3},
    {.name = "gap", .kind = K::kDuration, .help = "silence that ends a session", .min = 1e-3},
    {.name = "max_length",
     .kind = K::kDuration,
     .help = "of a session; 0: no limit",
     .fallback = "0"},
    {.name = "count",
     .kind = K::kInteger,
     .help = "records of a count window",
     .min = 1,
     .max = 100'000},
    {.name = "step",
     .kind = K::kInteger,
     .help = "records between count windows; default: count",
     .min = 1,
     .max = 100'000}};

constexpr WordDef kFeatureWords[] = {
    {.name = "chain",
     .help = "feature words, as `convert --prepend` takes them without Input()",
     .is_required = true},
    {.name = "input",
     .kind = K::kTexts,
     .help = "fields whose values in the window are the signals",
     .is_required = true},
    {.name = "length",
     .kind = K::kInteger,
     .help = "samples, at even times, that a window by time is brought to",
     .min = 2,
     .max = 100'000},
    {.name = "output", .kind = K::kTexts, .help = "names of the new fields", .is_required = true}};

constexpr WordDef kStreamModelWords[] = {
    {.name = "use", .help = "name under `models:`", .is_required = true},
    {.name = "input",
     .kind = K::kTexts,
     .help = "fields; over a window, all their values in order",
     .is_required = true},
    {.name = "result",
     .kind = K::kChoice,
     .help = "the outputs, the greatest one's place or value or both (best), the mean squared "
             "difference to the input (autoencoders), a row for each thing found (detectors), or "
             "how many of each class that "
             "`output` names",
     .fallback = "values",
     .choices = kModelResults},
    {.name = "output", .kind = K::kTexts, .help = "names of the new fields", .is_required = true},
    {.name = "mean", .kind = K::kNumber, .help = "subtracted from the input", .fallback = "0"},
    {.name = "scale", .kind = K::kNumber, .help = "divides the input behind that", .fallback = "1"},
    {.name = "min_score",
     .kind = K::kNumber,
     .help = "detections below it are left out",
     .fallback = "0"}};

constexpr const char* kHidings[] = {"pixelate", "blank"};

constexpr WordDef kPictureWords[] = {
    {.name = "input", .help = "the pictures, such as pixels", .is_required = true},
    {.name = "output",
     .help = "name of the new field: a PNG as a data: URL",
     .fallback = "picture"},
    {.name = "hide",
     .kind = K::kTexts,
     .help = "classes of the stream's detector whose boxes are made unrecognisable, or all"},
    {.name = "regions",
     .kind = K::kList,
     .help = "parts that are always hidden, in pixels of `input`",
     .words = kRegionWords},
    {.name = "how",
     .kind = K::kChoice,
     .help = "a few large squares, or black",
     .fallback = "pixelate",
     .choices = kHidings},
    {.name = "grow",
     .kind = K::kNumber,
     .help = "boxes are larger by this part of their size on each side",
     .fallback = "0.1",
     .min = 0,
     .max = 1},
    {.name = "min_score",
     .kind = K::kNumber,
     .help = "what is found with less is not hidden",
     .fallback = "0"}};

constexpr WordDef kStreamWords[] = {
    {.name = "from",
     .kind = K::kTexts,
     .help = "sources and streams that it takes; NAME.late for "
             "what came too late for NAME's windows",
     .is_required = true},
    {.name = "where", .kind = K::kExpression, .help = "only these records go on"},
    {.name = "key", .kind = K::kExpression, .help = "another key than the source's"},
    {.name = "resample", .kind = K::kMap, .help = "rows at even times", .words = kResampleWords},
    {.name = "set", .kind = K::kMap, .help = "computed fields, by name"},
    {.name = "window",
     .kind = K::kMap,
     .help = "groups records by key and time",
     .words = kWindowWords},
    {.name = "lateness",
     .kind = K::kDuration,
     .help = "how long windows wait for late records",
     .fallback = "0"},
    {.name = "idle",
     .kind = K::kDuration,
     .help = "after such a silence, event time goes on with the clock",
     .fallback = "1s"},
    {.name = "select", .kind = K::kMap, .help = "fields of the window's result, by name"},
    {.name = "features",
     .kind = K::kMap,
     .help = "signal features over a window",
     .words = kFeatureWords},
    {.name = "model", .kind = K::kMap, .help = "runs a model", .words = kStreamModelWords},
    {.name = "having", .kind = K::kExpression, .help = "only these results go on"},
    {.name = "picture",
     .kind = K::kMap,
     .help = "sends the picture along, parts of it hidden",
     .words = kPictureWords},
    {.name = "keep", .kind = K::kTexts, .help = "only these fields leave"},
    {.name = "drop", .kind = K::kTexts, .help = "these fields do not leave"},
    {.name = "hash", .kind = K::kTexts, .help = "these fields leave as pseudonyms"},
    {.name = "round", .kind = K::kMap, .help = "decimals with which fields leave, by name"}};

constexpr WordDef kEscalateWords[] = {
    {.name = "after", .kind = K::kDuration, .help = "without acknowledgement", .is_required = true},
    {.name = "to",
     .kind = K::kChoice,
     .help = "the new severity",
     .fallback = "critical",
     .choices = kSeverities}};

constexpr WordDef kRuleWords[] = {
    {.name = "from",
     .kind = K::kTexts,
     .help = "sources and streams that it watches",
     .is_required = true},
    {.name = "when", .kind = K::kExpression, .help = "raises the alert"},
    {.name = "clear",
     .kind = K::kExpression,
     .help = "clears it; without it, `when` no longer true"},
    {.name = "for", .kind = K::kDuration, .help = "`when` must hold that long", .fallback = "0"},
    {.name = "clear_for",
     .kind = K::kDuration,
     .help = "`clear` must hold that long",
     .fallback = "0"},
    {.name = "hold_off",
     .kind = K::kDuration,
     .help = "not raised again for so long",
     .fallback = "0"},
    {.name = "value",
     .kind = K::kExpression,
     .help = "the event's value; without it, the first "
             "field of `when`"},
    {.name = "dead_band",
     .kind = K::kNumber,
     .help = "a change of the value by more is an update",
     .fallback = "0",
     .min = 0},
    {.name = "update_every",
     .kind = K::kDuration,
     .help = "an update that often; 0: none",
     .fallback = "0"},
    {.name = "absent",
     .kind = K::kDuration,
     .help = "a key that is silent so long raises",
     .fallback = "0"},
    {.name = "severity",
     .kind = K::kChoice,
     .help = "how bad it is",
     .fallback = "warning",
     .choices = kSeverities},
    {.name = "escalate",
     .kind = K::kMap,
     .help = "raises the severity of what nobody acknowledges",
     .words = kEscalateWords},
    {.name = "dedupe", .kind = K::kExpression, .help = "alerts with the same value are one"},
    {.name = "while_active",
     .kind = K::kTexts,
     .help = "raised only while these rules are active "
             "for the key"},
    {.name = "kind",
     .kind = K::kChoice,
     .help = "an alert with a life, or an event for every match",
     .fallback = "alert",
     .choices = kRuleKinds},
    {.name = "message", .help = "text that goes with the event"}};

constexpr const char* kScoreKinds[] = {"sigmoid", "softmax", "none"};

constexpr WordDef kSsdWords[] = {
    {.name = "grids",
     .kind = K::kTexts,
     .help = "cells along a side of each feature map, finest first: [19, 10, 5, 3, 2, 1]",
     .is_required = true},
    {.name = "smallest",
     .kind = K::kNumber,
     .help = "anchor of the first map, in parts of the picture",
     .fallback = "0.2",
     .min = 0.001,
     .max = 1},
    {.name = "largest",
     .kind = K::kNumber,
     .help = "anchor of the last map",
     .fallback = "0.95",
     .min = 0.001,
     .max = 1},
    {.name = "scores",
     .kind = K::kChoice,
     .help = "what makes probabilities of the model's scores",
     .fallback = "sigmoid",
     .choices = kScoreKinds},
    {.name = "background",
     .kind = K::kFlag,
     .help = "the first class is none, and labels do not name it",
     .fallback = "true"},
    {.name = "most",
     .kind = K::kInteger,
     .help = "things found in a picture",
     .fallback = "20",
     .min = 1,
     .max = 1000},
    {.name = "min_score",
     .kind = K::kNumber,
     .help = "below it nothing is found",
     .fallback = "0.3",
     .min = 0,
     .max = 1},
    {.name = "max_overlap",
     .kind = K::kNumber,
     .help = "of two things of one class, intersection over union",
     .fallback = "0.6",
     .min = 0.01,
     .max = 1}};

constexpr WordDef kModelWords[] = {
    {.name = "file", .help = "the model file, beside the app file", .is_required = true},
    {.name = "device", .help = "where it runs", .fallback = "cpu"},
    {.name = "labels", .help = "a file with the name of a class in each line"},
    {.name = "ssd",
     .kind = K::kMap,
     .help = "the file is a detector that ends with offsets and scores",
     .words = kSsdWords}};

}  // namespace

std::span<const WordDef> app_words() { return kAppWords; }
std::span<const WordDef> source_common_words() { return kSourceWords; }
std::span<const WordDef> sink_common_words() { return kSinkWords; }
std::span<const WordDef> stream_words() { return kStreamWords; }
std::span<const WordDef> rule_words() { return kRuleWords; }
std::span<const WordDef> model_words() { return kModelWords; }
std::span<const WordDef> window_words() { return kWindowWords; }

}  // namespace ew::agent
