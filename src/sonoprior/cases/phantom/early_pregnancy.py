"""The kit of early pregnancy: what its case sets say of themselves."""

from sonoprior.cases.info import DatasetInfo

from .exam import QUALITIES
from .kit import EARLY_PREGNANCY, Kit
from .patient import SITUATIONS
from .plan import visits
from .records import records_of
from .settings import VERSION, PhantomSettings
from .tissue import ZONES
from .views import META, MIRRORED, PLANES, VIEWS

THREE_ZONES = {
    "gestation": ["amniotic sac", "embryo", "gestational sac", "yolk sac", "trophoblast"],
    "uterus": ["midline echo", "cervix external ostium", "endometrium", "uterus borders"],
    "ovary": ["ovary"],
}


def describe(settings: PhantomSettings) -> DatasetInfo:
    """What the case set says of itself."""
    return DatasetInfo(
        name=f"phantom of early pregnancy {VERSION}",
        about=(
            "Simulated ultrasound of simulated patients in early pregnancy; not real images. Nothing measured"
            f" on it is a clinical result. Phantom version {VERSION}, seed {settings.seed}."
        ),
        levels={
            "plane": list(PLANES),
            "view": [view.name for view in VIEWS],
            "meta": list(META),
            "quality": list(QUALITIES),
            "disorder": [situation.disorder for situation in SITUATIONS],
        },
        zones=list(ZONES),
        groupings={"three": THREE_ZONES},
        mirror=[(left, right) for left, right in MIRRORED],
        licence="Apache-2.0",
        source=f"sonoprior phantom, version {VERSION}",
        simulated=True,
    )


KIT = Kit(EARLY_PREGNANCY, PhantomSettings, describe, visits, records_of)
