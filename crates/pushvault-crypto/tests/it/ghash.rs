//! The arithmetic behind the published attack: one ciphertext and one tag that AES-GCM accepts
//! under two keys (Dodis, Grubbs, Ristenpart, Woodage: Fast Message Franking, CRYPTO 2018; Len,
//! Grubbs, Ristenpart: Partitioning Oracle Attacks, USENIX Security 2021).
//!
//! A GCM tag is `T = E_K(J0) + Σ X_i · H^(m-i+1)` over GF(2^128), where `X` are the blocks of AAD,
//! ciphertext and lengths. Whoever knows two keys can therefore set the two tags equal and solve the
//! linear equation for one block of ciphertext.

use aes_gcm::aes::{
    Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};

use crate::reference;

/// A key, and the AAD a reader would use with it.
pub(crate) struct Reader<'a> {
    pub(crate) key: &'a [u8; 32],
    pub(crate) aad: &'a [u8],
}

impl Reader<'_> {
    /// The key stream for this nonce.
    pub(crate) fn key_stream(&self, nonce: &[u8; 12], length: usize) -> Vec<u8> {
        let mut stream = reference::gcm_seal(self.key, nonce, &[], &vec![0; length]);
        stream.truncate(length);
        stream
    }

    /// `H = E_K(0^128)`.
    fn hash_key(&self) -> u128 {
        let mut block = [0; 16].into();
        Aes256::new(self.key.into()).encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    /// The tag, written out; a test below holds it against the library's.
    fn tag(&self, nonce: &[u8; 12], ciphertext: &[u8]) -> u128 {
        // The GHASH of nothing is zero, so the tag of nothing is the mask `E_K(J0)`.
        let mask = reference::gcm_seal(self.key, nonce, &[], &[]);
        let mask = u128::from_be_bytes(mask.try_into().unwrap());
        let hash_key = self.hash_key();
        let lengths = (bit_length(self.aad) << 64) | bit_length(ciphertext);
        blocks(self.aad)
            .into_iter()
            .chain(blocks(ciphertext))
            .chain([lengths])
            .fold(0, |hash, block| multiply(hash ^ block, hash_key))
            ^ mask
    }
}

/// Changes the block at `free_block` so that both readers see the same tag, and appends that tag.
pub(crate) fn collide(
    one: &Reader<'_>,
    other: &Reader<'_>,
    nonce: &[u8; 12],
    mut ciphertext: Vec<u8>,
    free_block: usize,
) -> Vec<u8> {
    assert_eq!(ciphertext.len() % 16, 0, "whole blocks only");
    let range = free_block * 16..free_block * 16 + 16;
    ciphertext[range.clone()].fill(0);
    // The exponent counts from the end: the block of lengths has 1, the last of ciphertext 2.
    let exponent = ciphertext.len() / 16 - free_block + 1;
    let difference = one.tag(nonce, &ciphertext) ^ other.tag(nonce, &ciphertext);
    let slope = power(one.hash_key(), exponent) ^ power(other.hash_key(), exponent);
    let block = multiply(difference, inverse(slope));
    ciphertext[range].copy_from_slice(&block.to_be_bytes());
    let tag = one.tag(nonce, &ciphertext);
    ciphertext.extend_from_slice(&tag.to_be_bytes());
    ciphertext
}

fn bit_length(bytes: &[u8]) -> u128 {
    u128::try_from(bytes.len()).unwrap() * 8
}

fn blocks(bytes: &[u8]) -> Vec<u128> {
    bytes
        .chunks(16)
        .map(|chunk| {
            let mut block = [0; 16];
            block[..chunk.len()].copy_from_slice(chunk);
            u128::from_be_bytes(block)
        })
        .collect()
}

/// The product in GF(2^128) with the bit order of NIST SP 800-38D, section 6.3.
fn multiply(x: u128, y: u128) -> u128 {
    let mut product = 0;
    let mut shifted = y;
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= shifted;
        }
        let carry = shifted & 1;
        shifted >>= 1;
        if carry == 1 {
            shifted ^= 0xE1 << 120;
        }
    }
    product
}

fn power(base: u128, exponent: usize) -> u128 {
    // One is the element whose first bit, which is the highest here, is set.
    (0..exponent).fold(1 << 127, |product, _| multiply(product, base))
}

/// `x^(2^128 - 2)`: the product of `x^(2^i)` for `i` from 1 to 127.
fn inverse(x: u128) -> u128 {
    let mut square = x;
    let mut product = 1 << 127;
    for _ in 1..128 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}

#[test]
fn an_element_times_its_inverse_is_one() {
    for element in [1 << 127, 2, 0x1234_5678_9ABC_DEF0, u128::MAX] {
        assert_eq!(multiply(element, inverse(element)), 1 << 127);
    }
}

#[test]
fn the_written_out_tag_is_the_one_of_the_library() {
    let reader = Reader {
        key: &[3; 32],
        aad: b"twenty-one bytes long",
    };
    let sealed = reference::gcm_seal(reader.key, &[4; 12], reader.aad, &[5; 40]);
    let (ciphertext, tag) = sealed.split_at(40);
    assert_eq!(reader.tag(&[4; 12], ciphertext).to_be_bytes(), tag);
}
