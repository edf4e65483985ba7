# Completion of knotwork's commands, options and values in bash. The program writes it itself, so it always fits.
#   source scripts/completion/knotwork.bash        (in ~/.bashrc, with knotwork in PATH)
# shellcheck disable=SC1090  # the sourced text comes from the program
if command -v knotwork >/dev/null; then
  source <(knotwork completion bash)
fi
