-- What the newest certificate of `holdfast audit replay` says is true of the gold that stands. A
-- returned row is an as-of date of the certificate whose cells differed when they were rebuilt
-- from what was known before, or whose rows in gold are no longer the certified ones: then
-- `holdfast audit replay` looks at them anew. Without a certificate nothing is claimed.
with certificates as (

    select
        audit_id,
        row_number() over (order by created_at desc, audit_id desc) as age
    from {{ source('ml', 'audit_findings') }}
    where audit = 'replay'

),

certified as (

    select
        findings.relation,
        findings.as_of_date,
        findings.status,
        findings.finding,
        findings.subject as certified_fingerprint
    from {{ source('ml', 'audit_findings') }} as findings
    inner join certificates
        on findings.audit_id = certificates.audit_id
        and certificates.age = 1

)

select
    certified.relation,
    certified.as_of_date,
    certified.status,
    certified.finding,
    certified.certified_fingerprint,
    fingerprints.fingerprint as standing_fingerprint
from certified
left join {{ ref('gold_fingerprints') }} as fingerprints
    on certified.as_of_date = fingerprints.as_of_date
    and certified.relation = concat('gold.', fingerprints.relation)
where certified.status = 'failed'
    or certified.certified_fingerprint is distinct from fingerprints.fingerprint
