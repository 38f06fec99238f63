//! Forms and queries: `application/x-www-form-urlencoded` (WHATWG URL, section 5.1).

use actix_web::HttpRequest;
use zeroize::Zeroizing;

use crate::domain::form::decode_component;
use crate::domain::page::PageInput;
use crate::http::error::{ApiError, ErrorCode};

/// The pairs of a form, decoded, in order.
pub(super) fn pairs(form: &[u8]) -> impl Iterator<Item = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>)> {
    form.split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default();
            let value = halves.next().unwrap_or_default();
            (decode_component(name), decode_component(value))
        })
}

/// One parameter of a list's query.
pub(in crate::http) struct PageParameter {
    /// As the client spells it.
    pub(in crate::http) name: &'static str,
    pub(in crate::http) description: &'static str,
    /// The least value of a whole number; none for text.
    pub(in crate::http) minimum: Option<u32>,
    slot: fn(&mut PageInput) -> &mut Option<String>,
}

/// All of them. The OpenAPI document reads the table too.
pub(in crate::http) static PAGE_PARAMETERS: [PageParameter; 3] = [
    PageParameter {
        name: "PageSize",
        description: "How many rows a page holds; 50 when absent. Above the maximum it is clamped.",
        minimum: Some(1),
        slot: |input| &mut input.page_size,
    },
    PageParameter {
        name: "Page",
        description: "The client's own count of pages. It decides nothing, but from 1 on a PageToken must come with it.",
        minimum: Some(0),
        slot: |input| &mut input.page,
    },
    PageParameter {
        name: "PageToken",
        description: "From next_page_url or previous_page_url; opaque.",
        minimum: None,
        slot: |input| &mut input.page_token,
    },
];

/// The paging parameters of a list; of a name that comes twice the first counts.
pub(in crate::http) fn page_input(request: &HttpRequest, max_parameters: usize) -> Result<PageInput, ApiError> {
    let query = request.query_string().as_bytes();
    if pairs(query).nth(max_parameters).is_some() {
        return Err(ApiError::with_message(
            ErrorCode::InvalidRequest,
            format!("Too many parameters: send at most {max_parameters}"),
        ));
    }
    let mut input = PageInput::default();
    for (name, value) in pairs(query) {
        if let Some(parameter) = PAGE_PARAMETERS
            .iter()
            .find(|parameter| parameter.name.as_bytes() == name.as_slice())
        {
            (parameter.slot)(&mut input).get_or_insert_with(|| String::from_utf8_lossy(&value).into_owned());
        }
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(form: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs(form.as_bytes())
            .map(|(name, value)| (text(&name), text(&value)))
            .collect()
    }

    #[test]
    fn what_the_python_and_the_node_sdk_send_is_the_same() {
        let expected = vec![("FriendlyName".to_owned(), "My cert é &+".to_owned())];
        assert_eq!(decoded("FriendlyName=My+cert+%C3%A9+%26%2B"), expected);
        assert_eq!(decoded("FriendlyName=My%20cert%20%c3%a9%20%26%2B"), expected);
    }

    #[test]
    fn odd_forms_lose_nothing() {
        assert_eq!(
            decoded("a=1=2&&b&=c&d=%zz%4"),
            [("a", "1=2"), ("b", ""), ("", "c"), ("d", "%zz%4")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_or_grow(form in proptest::collection::vec(any::<u8>(), 0..200)) {
            let total: usize = pairs(&form).map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(total <= form.len());
        }
    }
}
