#!/bin/sh
# What a shell of the operator sets for programs of his own: other code in ours, or a bundle of certificates to parse at every start.
unset NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS
home=/usr/lib/eni-agent
options=
case " $* " in
*' daemon '*)
  # The daemon stays: half the memory, see decision 22. To a command they would be 5 ms, since Node's own code is not cached for them.
  options='--max-semi-space-size=1 --optimize-for-size --no-opt --no-sparkplug --expose-gc'
  # A Node that does not know one of them does not start at all.
  # shellcheck disable=SC2086 -- words
  "$home/bin/node" $options -e 0 2>/dev/null || options=
  ;;
esac
# shellcheck disable=SC2086 -- words
exec "$home/bin/node" $options "$home/dist/cli.js" "$@"
