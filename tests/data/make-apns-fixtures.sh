#!/usr/bin/env bash
# Makes the pairs that src/domain/finding.rs and public_key.rs are tested with: tests/data/apns-*.pem, but for apns-pair.pem.
# The keys are drawn anew on every run, the dates are always the same; the tests pass the time in and never ask the clock.
# A pair holds its certificate and its key, as `openssl pkcs12 -nodes` writes them. Needs OpenSSL 3.

set -euo pipefail

data="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Apple's arc for push certificates: .1 is development, .2 production, .4 the topics of a VoIP certificate.
arc=1.2.840.113635.100.6.3

main() {
    pair development rsa 20260101000000Z 20270131000000Z 1
    pair production rsa 20260101000000Z 20270131000000Z 2
    pair universal rsa 20260101000000Z 20270131000000Z 1 2
    pair voip rsa 20260101000000Z 20270131000000Z 4
    pair expired rsa 20250203050607Z 20260304050607Z 1 2
    pair ec ec 20260101000000Z 20270131000000Z 1 2

    # The same keys in other forms.
    openssl rsa -in "$data/apns-universal.pem" -traditional -out "$data/apns-universal-pkcs1-key.pem"
    openssl ec -in "$data/apns-ec.pem" -out "$data/apns-ec-sec1-key.pem"
    openssl ec -in "$data/apns-ec.pem" -conv_form compressed -out "$data/apns-ec-compressed-key.pem"
    openssl ec -in "$data/apns-ec.pem" -no_public -out "$data/apns-ec-key-without-point.pem"
}

# pair NAME rsa|ec FROM UNTIL LAST_NUMBER_OF_EXTENSION…
pair() {
    local name="$1" algorithm="$2" from="$3" until="$4" number
    shift 4
    rm -rf "${work:?}"/*
    touch "$work/database"
    cat >"$work/ca.conf" <<CONF
[ca]
default_ca = own
[own]
database = $work/database
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
[any]
UID = supplied
commonName = supplied
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
CONF
    for number in "$@"; do
        printf '%s.%s = ASN1:NULL\n' "$arc" "$number" >>"$work/ca.conf"
    done

    case "$algorithm" in
    rsa) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/key.pem" ;;
    ec) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/key.pem" ;;
    esac
    openssl req -new -key "$work/key.pem" -out "$work/request.pem" \
        -subj "/UID=com.example.fixture/CN=Apple Push Services: com.example.fixture"
    openssl ca -batch -notext -selfsign -config "$work/ca.conf" -keyfile "$work/key.pem" \
        -startdate "$from" -enddate "$until" -in "$work/request.pem" -out "$work/certificate.pem"
    cat "$work/certificate.pem" "$work/key.pem" >"$data/apns-$name.pem"
}

main
