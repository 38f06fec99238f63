//! The swap matrix: nothing opens anywhere but where it was sealed.

use pushvault_crypto::{AccountKey, CryptoError, DeploymentId, Envelope, open};

use crate::support::{COLUMNS, Place, column_mut, column_sets, exposed, sealed, secrets_of};

/// A name for a field of the context, and how to give it another value.
type Change = (&'static str, fn(&mut Place));

/// Every field of the context.
const CHANGES: [Change; 6] = [
    ("deployment", |place| {
        place.deployment_id = DeploymentId::from_bytes(*b"deployment-two--");
    }),
    ("account", |place| {
        place.account_sid.push('2');
    }),
    ("credential", |place| {
        place.credential_sid.push('2');
    }),
    ("push service", |place| place.push_service.push('2')),
    ("sandbox", |place| place.sandbox = !place.sandbox),
    ("version", |place| place.version += 1),
];

/// The place with the changes that `bits` names.
fn changed(bits: u8) -> (Place, Vec<&'static str>) {
    let mut place = Place::sample();
    let mut names = Vec::new();
    for (index, (name, change)) in CHANGES.iter().enumerate() {
        if bits >> index & 1 == 1 {
            change(&mut place);
            names.push(*name);
        }
    }
    (place, names)
}

fn failure(key: &AccountKey, place: &Place, envelope: &Envelope) -> Option<CryptoError> {
    open(key, &place.context(), envelope).err()
}

#[test]
fn an_envelope_opens_in_none_of_the_other_63_places() {
    let key = AccountKey::generate().unwrap();
    let home = Place::sample();
    for columns in column_sets() {
        let envelope = sealed(&key, &home, &columns, "home");
        assert_eq!(failure(&key, &home, &envelope), None, "the control");
        for bits in 1..64 {
            let (place, names) = changed(bits);
            let failure = failure(&key, &place, &envelope);
            assert_eq!(failure, Some(CryptoError::Authentication), "{names:?} {columns:?}");
        }
    }
}

#[test]
fn no_part_of_an_envelope_from_any_other_place_fits() {
    let key = AccountKey::generate().unwrap();
    let home = Place::sample();
    let envelope = sealed(&key, &home, &COLUMNS, "home");
    // Zero changes is the same row sealed again, as a backup of it would hold.
    for bits in 0..64 {
        let (place, names) = changed(bits);
        let foreign = sealed(&key, &place, &COLUMNS, "foreign");
        for column in COLUMNS {
            let mut mixed = envelope.clone();
            *column_mut(&mut mixed, column) = column_mut(&mut foreign.clone(), column).take();
            let failure = failure(&key, &home, &mixed);
            assert_eq!(failure, Some(CryptoError::Authentication), "{column} of {names:?}");
        }
        let mut mixed = envelope.clone();
        mixed.dek_envelope = foreign.dek_envelope;
        let failure = failure(&key, &home, &mixed);
        assert_eq!(failure, Some(CryptoError::Authentication), "header of {names:?}");
    }
}

#[test]
fn no_field_of_another_header_fits() {
    let key = AccountKey::generate().unwrap();
    let home = Place::sample();
    let envelope = sealed(&key, &home, &COLUMNS, "home");
    let again = sealed(&key, &home, &COLUMNS, "again");
    let parts = [
        ("wrap nonce", 8..20, CryptoError::Authentication),
        ("wrapped DEK", 20..52, CryptoError::Authentication),
        ("wrap tag", 52..68, CryptoError::Authentication),
        ("the wrap as a whole", 8..68, CryptoError::WrongCommitment),
        ("commitment", 68..100, CryptoError::WrongCommitment),
        ("wrap and commitment", 8..100, CryptoError::Authentication),
    ];
    for (name, range, expected) in parts {
        let mut mixed = envelope.clone();
        mixed.dek_envelope[range.clone()].copy_from_slice(&again.dek_envelope[range]);
        assert_eq!(failure(&key, &home, &mixed), Some(expected), "{name}");
    }
}

#[test]
fn another_account_key_version_in_the_header_does_not_open() {
    let key = AccountKey::generate().unwrap();
    let home = Place::sample();
    let mut envelope = sealed(&key, &home, &COLUMNS, "home");
    for version in [0_u32, 2, 4, u32::MAX] {
        envelope.dek_envelope[4..8].copy_from_slice(&version.to_be_bytes());
        let failure = failure(&key, &home, &envelope);
        assert_eq!(failure, Some(CryptoError::Authentication), "version {version}");
    }
}

#[test]
fn another_account_key_does_not_open() {
    let home = Place::sample();
    let envelope = sealed(&AccountKey::generate().unwrap(), &home, &COLUMNS, "home");
    let failure = failure(&AccountKey::generate().unwrap(), &home, &envelope);
    assert_eq!(failure, Some(CryptoError::Authentication));
}

#[test]
fn columns_in_any_other_order_do_not_open() {
    let key = AccountKey::generate().unwrap();
    let home = Place::sample();
    let envelope = sealed(&key, &home, &COLUMNS, "home");
    let contents = COLUMNS.map(|column| column_mut(&mut envelope.clone(), column).take());
    let mut orders = 0;
    for order in permutations() {
        let mut mixed = envelope.clone();
        for (column, source) in COLUMNS.into_iter().zip(order) {
            column_mut(&mut mixed, column).clone_from(&contents[source]);
        }
        let expected = (order != [0, 1, 2, 3]).then_some(CryptoError::Authentication);
        assert_eq!(failure(&key, &home, &mixed), expected, "{order:?}");
        orders += 1;
    }
    assert_eq!(orders, 24);
}

#[test]
fn a_lone_column_does_not_open_under_another_name() {
    let key = AccountKey::generate().unwrap();
    let home = Place::sample();
    for from in COLUMNS {
        for to in COLUMNS {
            let mut envelope = sealed(&key, &home, &[from], "home");
            let content = column_mut(&mut envelope, from).take();
            *column_mut(&mut envelope, to) = content;
            let expected = (from != to).then_some(CryptoError::WrongCommitment);
            assert_eq!(failure(&key, &home, &envelope), expected, "{from} as {to}");
        }
    }
}

#[test]
fn an_envelope_opens_with_exactly_the_set_of_columns_it_was_sealed_with() {
    let key = AccountKey::generate().unwrap();
    let home = Place::sample();
    let full = sealed(&key, &home, &COLUMNS, "home");
    for sealed_with in column_sets() {
        for stored in column_sets() {
            // Columns dropped are set to NULL, columns added come from another envelope.
            let mut envelope = sealed(&key, &home, &sealed_with, "home");
            for column in COLUMNS {
                if !stored.contains(&column) {
                    *column_mut(&mut envelope, column) = None;
                } else if !sealed_with.contains(&column) {
                    *column_mut(&mut envelope, column) = column_mut(&mut full.clone(), column).take();
                }
            }
            let opened = open(&key, &home.context(), &envelope);
            if sealed_with == stored {
                assert_eq!(exposed(&opened.unwrap()), exposed(&secrets_of(&stored, "home")));
            } else {
                let failure = opened.err();
                assert_eq!(
                    failure,
                    Some(CryptoError::WrongCommitment),
                    "{sealed_with:?} stored as {stored:?}"
                );
            }
        }
    }
}

fn permutations() -> impl Iterator<Item = [usize; 4]> {
    (0..256_usize)
        .map(|n| [n / 64, n / 16 % 4, n / 4 % 4, n % 4])
        .filter(|order| (0..4).all(|index| order.contains(&index)))
}
