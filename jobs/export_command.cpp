// Reads any embedding file and writes any other.
#include "jobs/export_command.h"

#include "embeddings/embedding_file.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/output_path.h"
#include "jobs/report.h"

namespace knotwork::jobs {

void watch_embedding(const std::string& path, Session& session) {
  session.watch(path + ".partial");
  if (embeddings::embedding_format(path) == embeddings::EmbeddingFormat::kNumpy)
    session.watch(embeddings::ids_path(path) + ".partial");
}

void declare(ExportOptions& options, OptionSet& set) {
  set.positional("embedding", &options.embedding, "embedding file").file().value_name("EMB").required();
  set.add("output,o", &options.output, "result: .npy, .txt or .bin (word2vec), .tsv, .h5").file().required();
  set.on_resolved([&options] { static_cast<void>(embeddings::embedding_format(options.output)); });
}

void run(const ExportOptions& options, Session& session) {
  check_output_file(options.output);
  watch_embedding(options.output, session);
  const embeddings::Embedding embedding = embeddings::read_embedding(options.embedding);
  embeddings::write_embedding(options.output, embedding);
  session.report.set("nodes", std::uint64_t{embedding.rows()});
  session.report.set("dim", std::uint64_t{embedding.dim()});
  session.console.summary("wrote " + grouped_count(embedding.rows()) + " vectors of " +
                          std::to_string(embedding.dim()) + " to " + options.output);
}

CommandEntry export_command() {
  return {.text = {.name = "export",
                   .arguments = "EMB -o OUT",
                   .summary = "convert an embedding to another format",
                   .details = "The ending of OUT chooses the format: .npy (with .ids.txt beside it), .txt and .bin "
                              "(word2vec, as gensim reads), .tsv, .h5.",
                   .examples = {"knotwork export emb.npy -o emb.txt", "knotwork export emb.bin -o emb.h5"}},
          .heading = "Embeddings",
          .make = command_of<ExportOptions>(declare, run)};
}

}  // namespace knotwork::jobs
