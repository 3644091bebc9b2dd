-- A returned row is a word that `words_of` misses, invents or counts wrongly.
with texts as (

    select 1 as text_id, 'Cannot EXPORT: invoice-7 is "wrong", wrong!' as ticket_text
    union all
    select 2, ''
    union all
    select 3, cast(null as {{ dbt.type_string() }})

),

split as (

    select
        text_id,
        {{ holdfast.words_of('ticket_text') }} as word
    from texts

),

actual as (

    -- an empty word, before or after a mark, is none that a lexicon knows
    select
        text_id,
        word,
        count(*) as times
    from split
    where word != ''
    group by text_id, word

),

expected as (

    select 1 as text_id, 'cannot' as word, 1 as times
    union all
    select 1, 'export', 1
    union all
    select 1, 'invoice', 1
    union all
    select 1, 'is', 1
    union all
    select 1, 'wrong', 2

)

select
    actual.word as actual_word,
    expected.word as expected_word,
    actual.times as actual_times,
    expected.times as expected_times
from actual
full outer join expected
    on actual.text_id = expected.text_id
    and actual.word = expected.word
where actual.times is distinct from expected.times
