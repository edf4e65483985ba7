# Run at build time (cmake -P): writes build_info.cpp with the commit at hand, touching it only when that changed.
# IN: SOURCE_DIR, TEMPLATE, OUTPUT, KNOTWORK_VERSION, KNOTWORK_COMPILER.
execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short HEAD
                OUTPUT_VARIABLE KNOTWORK_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE no_commit)
if(no_commit)
  set(KNOTWORK_COMMIT "unknown")
else()
  execute_process(COMMAND git -C ${SOURCE_DIR} diff --quiet HEAD ERROR_QUIET RESULT_VARIABLE changed)
  if(changed)
    string(APPEND KNOTWORK_COMMIT "+")
  endif()
endif()
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
