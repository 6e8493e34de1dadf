#!/bin/sh
# Stands in for `python -I -m stxmirror.controller.unit VERB`.
for verb; do :; done
cd /var/lib/stx-mirror || exit 1
cat >"request.$verb"
case $verb in
    run)
        sudo -n -u builder setsid sh -c \
            'trap "" TERM; echo $$ >/tmp/stage.pid; while :; do sleep 1; done' &
        wait
        ;;
    stopped) echo "$SERVICE_RESULT" >stopped ;;
esac
