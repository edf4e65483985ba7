#include "embeddings/gnn/model_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <string_view>
#include <system_error>

#include <nlohmann/json.hpp>

#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/shallow_json.h"
#include "partition/whole_file.h"

namespace knotwork::embeddings::gnn {
namespace {

using Json = nlohmann::ordered_json;
using partition::InputError;

constexpr std::string_view kFormat = "knotwork network";
constexpr int kVersion = 1;
// No network has so many names; more is damage, and would be asked for as memory.
constexpr std::uint64_t kMostHeaderBytes = std::uint64_t{1} << 24;
constexpr std::array<std::string_view, 6> kModels = {"gcn", "sage", "gat", "sgc", "appnp", "dagnn"};
constexpr std::array<std::string_view, 3> kAggregators = {"mean", "max", "gcn"};
constexpr std::array<std::string_view, 2> kLosses = {"softmax", "sigmoid"};

static_assert(std::endian::native == std::endian::little, "tensors are written as they lie in memory");

/// Number of a word in a list of names.
template <typename Enumeration, std::size_t kCount>
Enumeration parse_word(const Json& json, const std::array<std::string_view, kCount>& words) {
  const auto word = json.get<std::string>();
  const auto at = std::ranges::find(words, word);
  if (at == words.end()) throw InputError("unknown word '" + word + "'");
  return static_cast<Enumeration>(at - words.begin());
}

template <std::size_t kCount, typename Enumeration>
std::string word_of(const std::array<std::string_view, kCount>& words, Enumeration value) {
  return std::string(words[static_cast<std::size_t>(value)]);
}

std::string checksum_of(std::span<const float> weights) {
  return partition::checksum_text(partition::block_checksum(std::as_bytes(weights)));
}

Json options_json(const NetworkOptions& options) {
  return {{"inputs", options.inputs},
          {"outputs", options.outputs},
          {"layers", options.layers},
          {"hidden", options.hidden},
          {"heads", options.heads},
          {"output_heads", options.output_heads},
          {"hops", options.hops},
          {"alpha", options.alpha},
          {"dropout", options.dropout},
          {"attention_dropout", options.attention_dropout},
          {"negative_slope", options.negative_slope},
          {"aggregator", word_of(kAggregators, options.aggregator)},
          {"unit_rows", options.unit_rows}};
}

/// A count that a network is built of: an absurd one would be asked for as memory before tensors are compared with it.
std::uint32_t count_at(const Json& json, const char* key, std::uint32_t most) {
  const Json& value = json.at(key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
    throw InputError(std::string(key) + " is " + value.dump() + "; expected at most " + std::to_string(most));
  return value.get<std::uint32_t>();
}

NetworkOptions parse_options(const Json& json) {
  constexpr std::uint32_t kAny = std::numeric_limits<std::uint32_t>::max();
  NetworkOptions options;
  options.inputs = count_at(json, "inputs", kAny);
  options.outputs = count_at(json, "outputs", kAny);
  options.layers = count_at(json, "layers", 64);
  options.hidden = count_at(json, "hidden", 65536);
  options.heads = count_at(json, "heads", 256);
  options.output_heads = count_at(json, "output_heads", 256);
  options.hops = count_at(json, "hops", 1024);
  options.alpha = json.at("alpha");
  options.dropout = json.at("dropout");
  options.attention_dropout = json.at("attention_dropout");
  options.negative_slope = json.at("negative_slope");
  options.aggregator = parse_word<Aggregator>(json.at("aggregator"), kAggregators);
  options.unit_rows = json.at("unit_rows");
  return options;
}

Json header_of(const NetworkModel& model, const std::string& program) {
  Json header;
  // safetensors allows texts only.
  header["__metadata__"] = {{"format", kFormat},
                            {"version", std::to_string(kVersion)},
                            {"program", program},
                            {"model", word_of(kModels, model.network.model)},
                            {"options", options_json(model.network).dump()},
                            {"labels", Json(model.labels).dump(-1, ' ', false, Json::error_handler_t::replace)},
                            {"loss", word_of(kLosses, model.loss)},
                            {"normalize_features", model.normalises_features ? "yes" : "no"},
                            {"one_graph", model.is_for_one_graph ? "yes" : "no"},
                            {"checksum", checksum_of(model.weights)}};
  for (const Parameter& parameter : model.parameters) {
    Json shape = Json::array({parameter.rows, parameter.columns});
    const std::size_t begin = parameter.offset * sizeof(float);
    header[parameter.name] = {{"dtype", "F32"},
                              {"shape", std::move(shape)},
                              {"data_offsets", {begin, begin + parameter.size() * sizeof(float)}}};
  }
  return header;
}

void parse_metadata(const Json& metadata, NetworkModel& model) {
  if (metadata.value("format", "") != kFormat)
    throw InputError("it holds no network of knotwork; expected the metadata \"format\": \"" + std::string(kFormat) +
                     "\"");
  const std::string version = metadata.at("version");
  if (version != std::to_string(kVersion))
    throw InputError("it is of version " + version + "; this program reads version " + std::to_string(kVersion));
  model.network = parse_options(partition::parse_shallow_json<Json>(metadata.at("options").get<std::string>()));
  model.network.model = parse_word<Model>(metadata.at("model"), kModels);
  model.labels =
      partition::parse_shallow_json<Json>(metadata.at("labels").get<std::string>()).get<std::vector<std::string>>();
  model.loss = parse_word<LabelLoss>(metadata.at("loss"), kLosses);
  model.normalises_features = metadata.at("normalize_features") == "yes";
  model.is_for_one_graph = metadata.at("one_graph") == "yes";
}

/// Tensors must follow each other without gaps and fill the file to its end.
void parse_tensors(const Json& header, std::uint64_t data_bytes, NetworkModel& model) {
  std::uint64_t at = 0;
  for (const auto& [name, tensor] : header.items()) {
    if (name == "__metadata__") continue;
    const auto shape = tensor.at("shape").get<std::vector<std::uint32_t>>();
    const auto range = tensor.at("data_offsets").get<std::vector<std::uint64_t>>();
    if (tensor.at("dtype") != "F32" || shape.size() != 2 || range.size() != 2)
      throw InputError("tensor '" + name + "' is no matrix of float32");
    Parameter parameter{.name = name, .rows = shape[0], .columns = shape[1], .offset = at / sizeof(float)};
    const std::uint64_t bytes = std::uint64_t{shape[0]} * shape[1] * sizeof(float);
    if (range[0] != at || range[1] < at || range[1] - at != bytes || range[1] > data_bytes)
      throw InputError("tensor '" + name + "' does not lie where it should");
    at = range[1];
    model.parameters.push_back(std::move(parameter));
  }
  if (at != data_bytes)
    throw InputError("it has " + std::to_string(data_bytes) + " bytes of tensors; expected " + std::to_string(at));
}

std::uint64_t file_bytes(const std::string& path) {
  std::error_code error;
  const std::uint64_t bytes =
      std::filesystem::is_regular_file(path, error) ? std::filesystem::file_size(path, error) : 0;
  if (error || !std::filesystem::is_regular_file(path, error)) throw InputError(path + ": cannot open this model file");
  return bytes;
}

NetworkModel parse(std::ifstream& file, std::uint64_t bytes) {
  std::uint64_t header_bytes = 0;
  if (bytes < sizeof header_bytes || !file.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes))
    throw InputError("it is too short");
  if (header_bytes > std::min(bytes - sizeof header_bytes, kMostHeaderBytes))
    throw InputError("its header would be " + std::to_string(header_bytes) + " bytes long");
  std::string text(header_bytes, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(text.size()))) throw InputError("it ends within its header");
  const Json header = partition::parse_shallow_json<Json>(text);
  NetworkModel model;
  const Json& metadata = header.at("__metadata__");
  parse_metadata(metadata, model);
  const std::uint64_t data_bytes = bytes - sizeof header_bytes - header_bytes;
  parse_tensors(header, data_bytes, model);
  model.weights.resize(data_bytes / sizeof(float));
  if (!file.read(reinterpret_cast<char*>(model.weights.data()), static_cast<std::streamsize>(data_bytes)))
    throw InputError("it ends within its tensors");
  if (metadata.at("checksum") != checksum_of(model.weights))
    throw InputError("its tensors don't have the checksum that its header names");
  if (!std::ranges::all_of(model.weights, [](float value) { return std::isfinite(value); }))
    throw InputError("it holds weights that are no numbers");
  return model;
}

}  // namespace

std::string model_name(Model model) {
  return word_of(kModels, model);
}

void write_model(const std::string& path, const NetworkModel& model, const std::string& program) {
  std::string header = header_of(model, program).dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that tensors are aligned
  const std::uint64_t bytes = header.size();
  partition::WholeFile file(path);
  file.write({reinterpret_cast<const char*>(&bytes), sizeof bytes});
  file.write(header);
  file.write({reinterpret_cast<const char*>(model.weights.data()), model.weights.size() * sizeof(float)});
  file.sync();
  file.publish();
}

NetworkModel read_model(const std::string& path) {
  const std::uint64_t bytes = file_bytes(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(path + ": cannot open this model file");
  try {
    return parse(file, bytes);
  } catch (const InputError& error) {
    throw InputError(path + ": not a whole model file: " + error.what());
  } catch (const Json::exception&) {
    throw InputError(
        path +
        ": not a whole model file: its header is no JSON object of a network; expected a file made by embed --model");
  }
}

void check_model(const NetworkModel& model, std::span<const Parameter> parameters, const std::string& path) {
  const bool same = std::ranges::equal(model.parameters, parameters, [](const Parameter& a, const Parameter& b) {
    return a.name == b.name && a.rows == b.rows && a.columns == b.columns;
  });
  if (!same) throw InputError(path + ": its tensors are not those of the network that it names");
}

}  // namespace knotwork::embeddings::gnn
