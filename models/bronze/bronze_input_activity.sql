{{ config(contract={'enforced': false}) }}

{{ holdfast.input_rows('activity') }}
