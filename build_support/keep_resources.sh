# SPDX-License-Identifier: MIT
# Runs nvcc, and keeps what ptxas tells of the kernels (-Xptxas=-v) beside the object: FILE.resources.
object=
before=
for argument; do
  if [ "$before" = -o ]; then object=$argument; fi
  before=$argument
done
if [ -z "$object" ]; then exec "$@"; fi
"$@" 2>"$object.resources"
status=$?
grep -v -e '^ptxas info' -e ' bytes stack frame, ' "$object.resources" >&2
exit $status
