# shellcheck shell=bash
# Sourced by deploy/setup. Before an installation starts a service, Debian asks policy-rc.d(8); while packages are being
# installed here the answer is no, and afterwards that file is what it was, or is gone if it wasn't there.
# A killed installation does no harm: its answer holds only while its process lives, and the next one tidies up.

POLICY_RC_D=${POLICY_RC_D:-/usr/sbin/policy-rc.d}

# keep_services_quiet COMMAND...: run it, with the status it ends with. Needs to be root.
keep_services_quiet() (
    exec 8<"$(dirname "$POLICY_RC_D")"
    flock 8 # another clone's installation would mistake our answer for the machine's own
    trap restore_service_policy EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    refuse_service_starts
    "$@" 8<&-
)

refuse_service_starts() {
    local process=$BASHPID
    restore_service_policy
    if [ -e "$POLICY_RC_D" ] || [ -L "$POLICY_RC_D" ]; then
        cp -a -- "$POLICY_RC_D" "$POLICY_RC_D.before-firstlight"
    fi
    cat >"$POLICY_RC_D.firstlight" <<END
#!/bin/sh
# Answer of firstlight's deploy/setup while its process $process installs packages.
kill -0 $process 2>/dev/null && exit 101
[ -x "$POLICY_RC_D.before-firstlight" ] && exec "$POLICY_RC_D.before-firstlight" "\$@"
exit 0
END
    chmod 755 "$POLICY_RC_D.firstlight"
    mv -f -- "$POLICY_RC_D.firstlight" "$POLICY_RC_D"
}

restore_service_policy() {
    rm -f -- "$POLICY_RC_D.firstlight"
    grep -qs "^# Answer of firstlight's deploy/setup" "$POLICY_RC_D" || return 0
    if [ -e "$POLICY_RC_D.before-firstlight" ] || [ -L "$POLICY_RC_D.before-firstlight" ]; then
        mv -f -- "$POLICY_RC_D.before-firstlight" "$POLICY_RC_D"
    else
        rm -f -- "$POLICY_RC_D"
    fi
}
