// What a training exports, kept in memory.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "embeddings/embedding_file.h"

namespace knotwork::worker {

class RowCollector : public embeddings::EmbeddingWriter {
 public:
  RowCollector(partition::OriginalNode nodes, std::size_t columns)
      : EmbeddingWriter(partition::NodeNames::counted(nodes), columns) {}
  std::vector<float> values;

 private:
  void write_rows(std::size_t /*first*/, std::span<const float> rows) override {
    values.insert(values.end(), rows.begin(), rows.end());
  }
  void commit() override {}
};

}  // namespace knotwork::worker
