import pytest

from sonoprior.cases.fields import FIELDS, Field, field
from sonoprior.core.errors import DataError


@pytest.mark.parametrize("name", FIELDS.names())
def test_every_field_is_registered_under_its_own_name(name):
    found = FIELDS.load(name)
    assert isinstance(found, Field)
    assert found.name == name
    assert found.shape[0] == "B"
    assert found.unit
    assert found.missing


def test_a_member_leads_to_its_family():
    assert field("label.view") is field("label.meta")
    assert not field("label.view").moves
    assert field("image").moves
    assert field("prior").moves


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imagee", "the name among fields must be one of .*Did you mean 'image'"),
        ("label", "the field must be written 'label.<level>', but got 'label'"),
        ("image.left", "the field must be written 'image', but got 'image.left'"),
    ],
)
def test_a_wrong_name_says_what_is_right(name, message):
    with pytest.raises(DataError, match=message):
        field(name)
