//! The query of a list.

use actix_web::HttpRequest;

use crate::domain::form::pairs;
use crate::domain::page::PageInput;
use crate::http::error::{ApiError, ErrorCode};

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
