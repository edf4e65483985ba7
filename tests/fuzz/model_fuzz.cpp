// Networks as safetensors, with the checksum of the tensors made right again, or not.
#include "embeddings/gnn/model_file.h"
#include "partition/errors.h"
#include "tests/fuzz/section_repair.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

namespace gnn = embeddings::gnn;

/// Puts length and checksum right, if the header can be read at all.
std::string repaired_model(std::vector<std::string> pieces) {
  pieces.resize(2);
  nlohmann::ordered_json header = nlohmann::ordered_json::parse(pieces[0], nullptr, false);
  if (header.is_object() && header.contains("__metadata__") && header["__metadata__"].is_object()) {
    header["__metadata__"]["checksum"] =
        partition::checksum_text(partition::block_checksum(std::as_bytes(std::span(pieces[1]))));
    pieces[0] = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  std::string length(sizeof(std::uint64_t), '\0');
  set_number(length, 0, pieces[0].size());
  return length + pieces[0] + pieces[1];
}

bool run_model(std::string_view input) {
  static const ScratchFolder folder("model");
  const unsigned flags = take_flags(input);
  const std::string path =
      folder.write("m.safetensors", (flags & 1U) != 0 ? repaired_model(pieces_of(input)) : std::string(input));
  try {
    const gnn::NetworkModel model = gnn::read_model(path);
    std::uint64_t values = 0;
    for (const gnn::Parameter& parameter : model.parameters) {
      require(parameter.offset == values, "tensors follow each other");
      values += parameter.size();
    }
    require(values == model.weights.size(), "tensors fill the file");
    require(model.network.layers <= 64 && model.network.hops <= 1024, "a network of this size can be built");
    gnn::check_model(model, model.parameters, path);
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

std::vector<Seed> model_seeds() {
  const ScratchFolder folder("model-seed");
  gnn::NetworkModel model;
  model.network.inputs = 3;
  model.network.outputs = 2;
  model.labels = {"a", "b"};
  model.parameters = {{.name = "w", .rows = 3, .columns = 2, .offset = 0},
                      {.name = "b", .rows = 1, .columns = 2, .offset = 6}};
  model.weights = {1, 2, 3, 4, 5, 6, 7, 8};
  gnn::write_model(folder.path() + "/m", model, "knotwork");
  const std::string whole = folder.read("m");
  const std::size_t header = number_at<std::uint64_t>(whole, 0);
  const std::string text = whole.substr(8, header);
  const std::string data = whole.substr(8 + header);
  std::string deep_network = text;
  deep_network.replace(text.find("layers"), 10, "layers\\\":4000000000");
  return {
      {std::string(1, '\0') + whole},
      {"\x01" + joined({text, data})},
      {"\x01" + joined({text, data.substr(4)}), false},
      {"\x01" + joined({deep_network, data}), false},
      {"\x01" + joined({"{\"__metadata__\":{\"format\":" + std::string(100000, '['), data}), false},
      {std::string(1, '\0') + std::string(8, '\xff') + "{}", false},
      {"\x01{}", false},
      {"", false},
  };
}

}  // namespace

Target model_target() {
  return {"model", model_seeds, run_model};
}

}  // namespace knotwork::fuzz
