# shellcheck shell=sh
# Keeps one Postgres for as long as somebody holds the other end of standard input, and no longer.
#
# Arguments: the directory of the programs, the directory of the cluster, the directory of the socket, a directory
# to create now and to remove at the end (or nothing), an option for initdb (or nothing), and then the options of
# postgres.
#
# Standard output is the lock of the cluster, which Postgres inherits as descriptor 3. Standard error goes to the
# owner and gets the last lines of the log if something went wrong.
set -u
umask 077

programs=$1
home=$2
sockets=$3
scratch=$4
initdb_option=$5
shift 5
data=$home/data
log=$home/postgres.log
child=
signal=TERM

# A shell gives /dev/null as standard input to what it starts in the background, so the pipe needs a number of its
# own. So does the way to the owner, because the shell itself may remark on a killed child, which would be its own
# end once nobody is left to read it.
exec 4<&0 </dev/null 5>&2 2>/dev/null

# Waits for the end of the owner, then for that of a process: politely, after ten seconds sternly, after twenty by
# force. The signal is repeated because the process may not have been ready to hear the first one.
end_with_owner() {
    read -r _
    # From here on it can be interrupted in a sleep, which must not be left behind.
    sleep=
    trap 'kill "$sleep"; wait "$sleep"; exit' TERM
    seconds=0
    while kill -s "$signal" "$1"; do
        sleep 1 &
        sleep=$!
        wait "$sleep"
        seconds=$((seconds + 1))
        case $seconds in
        10) signal=QUIT ;;
        20) signal=KILL ;;
        esac
    done
}

# Runs a program until it ends by itself or because the owner has ended. The first argument is the signal that ends
# it.
run() {
    signal=$1
    shift
    "$@" 3>&1 4<&- 5>&- >>"$log" 2>&1 &
    child=$!
    end_with_owner "$child" <&4 >/dev/null 5>&- &
    watcher=$!
    wait "$child"
    status=$?
    # A signal to this shell ends the waiting, but not yet the program.
    while [ "$status" -gt 128 ] && kill -s 0 "$child"; do
        wait "$child"
        status=$?
    done
    kill "$watcher"
    wait "$watcher"
    return "$status"
}

trap 'kill -s "$signal" "$child"' HUP INT TERM

if [ -n "$scratch" ]; then
    # Without -p: what is there already belongs to somebody else.
    mkdir "$scratch" 2>&5 || exit 1
fi
mkdir -p "$sockets" 2>&5 || exit 1
# What a crash left there names a process, and Postgres would not start if another one had that number by now.
rm -f "$sockets/.s.PGSQL.5432" "$sockets/.s.PGSQL.5432.lock"
if [ -e "$log" ]; then
    mv -f "$log" "$log.previous"
fi

status=0
if [ ! -e "$data" ]; then
    # Under another name first, so that an initdb that was cut off is never taken for a cluster. What is written
    # down in the configuration counts when somebody starts this Postgres by hand: it must not listen to others then
    # either.
    rm -rf "$data.new" &&
        run TERM "$programs/initdb" --pgdata="$data.new" --username=pushvault --encoding=UTF8 --locale=C \
            --auth-local=trust --auth-host=reject --no-instructions ${initdb_option:+"$initdb_option"} &&
        printf '%s\n' "listen_addresses = ''" "unix_socket_permissions = 0700" >>"$data.new/postgresql.conf" &&
        mv "$data.new" "$data"
    status=$?
fi
if [ "$status" -eq 0 ]; then
    run INT "$programs/postgres" -D "$data" "$@"
    status=$?
fi
if [ "$status" -ne 0 ]; then
    tail -n 20 "$log" >&5
fi

# A process that Postgres left behind may still write for a moment after it.
attempts=0
while [ -n "$scratch" ] && [ -e "$scratch" ] && [ "$attempts" -lt 10 ]; do
    rm -rf "$scratch" || sleep 1
    attempts=$((attempts + 1))
done
exit "$status"
