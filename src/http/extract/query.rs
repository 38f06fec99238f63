//! The query of a list.

use actix_web::HttpRequest;

use crate::domain::audit_list::AuditFilter;
use crate::domain::form::{encode_component, pairs};
use crate::domain::page::PageInput;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::filters::FilterParameter;

/// One parameter of every list's query.
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
    Ok(Query::of(request, max_parameters)?.page_input())
}

/// What decides which page is asked for of which events.
pub(in crate::http) struct AuditQuery {
    pub(in crate::http) page: PageInput,
    pub(in crate::http) filter: AuditFilter,
    /// The filter as it stands in the query of every page of the list.
    pub(in crate::http) repeated: String,
}

/// The parameters of a list of audit events that has these filters. An empty one counts as absent.
pub(in crate::http) fn audit_query(
    request: &HttpRequest,
    max_parameters: usize,
    filters: &[FilterParameter],
) -> Result<AuditQuery, ApiError> {
    let query = Query::of(request, max_parameters)?;
    let (mut filter, mut repeated) = (AuditFilter::default(), String::new());
    for FilterParameter { name, put, .. } in filters {
        if let Some(value) = query.value(name).filter(|value| !value.is_empty()) {
            put(&mut filter, name, &value)?;
            repeated.extend([name, "=", &encode_component(&value), "&"]);
        }
    }
    Ok(AuditQuery {
        page: query.page_input(),
        filter,
        repeated,
    })
}

/// A query that has no more parameters than are allowed.
struct Query<'a>(&'a [u8]);

impl<'a> Query<'a> {
    fn of(request: &'a HttpRequest, max_parameters: usize) -> Result<Self, ApiError> {
        let query = request.query_string().as_bytes();
        if pairs(query).nth(max_parameters).is_some() {
            return Err(ApiError::with_message(
                ErrorCode::InvalidRequest,
                format!("Too many parameters: send at most {max_parameters}"),
            ));
        }
        Ok(Self(query))
    }

    fn value(&self, name: &str) -> Option<String> {
        let (_, value) = pairs(self.0).find(|(sent, _)| sent.as_slice() == name.as_bytes())?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn page_input(&self) -> PageInput {
        let mut input = PageInput::default();
        for parameter in &PAGE_PARAMETERS {
            *(parameter.slot)(&mut input) = self.value(parameter.name);
        }
        input
    }
}
