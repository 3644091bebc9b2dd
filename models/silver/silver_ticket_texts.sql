{{ config(
    materialized='slices',
    incremental_strategy='slices',
    slice_column="'tickets'",
    slice_plan='whole:tickets',
    on_schema_change='append_new_columns',
) }}

with slices as (

    select * from {{ holdfast.slices_to_build('whole:tickets') }} as to_build

),

tickets as (

    -- the versions of a ticket repeat its text, and so do tickets made from a template
    select distinct
        coalesce(subject, '') as subject,
        coalesce(body, '') as body
    from {{ ref('bronze_tickets') }}

),

lexicon as (

    select * from {{ ref('ticket_lexicon') }}

),

intents as (

    select * from {{ ref('ticket_intents') }}

),

texts as (

    -- words may stand in one subject and in another body
    select distinct
        md5(tickets.subject || ' ' || tickets.body) as text_fingerprint,
        tickets.subject || ' ' || tickets.body as ticket_text,
        slices.built_from
    from tickets
    cross join slices

),

words as (

    select
        text_fingerprint,
        {{ holdfast.words_of('ticket_text') }} as word
    from texts

),

matched_words as (

    select
        words.text_fingerprint,
        lexicon.sentiment,
        lexicon.intent
    from words
    inner join lexicon
        on words.word = lexicon.word

),

sentiments as (

    select
        text_fingerprint,
        {{ holdfast.ratio('sum(sentiment)', 'count(*)') }} as sentiment
    from matched_words
    group by text_fingerprint

),

intent_counts as (

    select
        matched_words.text_fingerprint,
        matched_words.intent,
        row_number() over (
            partition by matched_words.text_fingerprint
            order by count(*) desc nulls last, max(intents.urgency) desc nulls last
        ) as preference
    from matched_words
    inner join intents
        on matched_words.intent = intents.intent
    group by matched_words.text_fingerprint, matched_words.intent

),

ticket_texts as (

    select
        texts.text_fingerprint,
        sentiments.sentiment,
        intent_counts.intent,
        texts.built_from
    from texts
    left join sentiments
        on texts.text_fingerprint = sentiments.text_fingerprint
    left join intent_counts
        on texts.text_fingerprint = intent_counts.text_fingerprint
        and intent_counts.preference = 1

)

select * from ticket_texts
