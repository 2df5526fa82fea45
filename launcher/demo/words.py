"""The words that demo data is made of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What each category sells, and what one of it costs about, in hundredths.
CATEGORIES: Mapping[str, tuple[int, tuple[str, ...]]] = MappingProxyType(
    {
        "Audio": (9_900, ("Headphones", "Speaker", "Turntable", "Microphone", "Amplifier")),
        "Bags": (5_900, ("Backpack", "Tote", "Briefcase", "Duffel", "Messenger Bag")),
        "Books": (1_900, ("Notebook", "Atlas", "Cookbook", "Diary", "Sketchbook")),
        "Cycling": (7_900, ("Helmet", "Saddle", "Handlebar", "Pannier", "Wheelset")),
        "Furniture": (24_900, ("Chair", "Desk", "Bookshelf", "Stool", "Cabinet")),
        "Garden": (2_900, ("Spade", "Watering Can", "Planter", "Rake", "Hammock")),
        "Kitchen": (3_900, ("Kettle", "Skillet", "Grinder", "Teapot", "Cutting Board")),
        "Lighting": (6_900, ("Lamp", "Lantern", "Chandelier", "Torch", "Spotlight")),
        "Office": (1_400, ("Stapler", "Fountain Pen", "Letter Tray", "Calendar", "Ruler")),
        "Outdoor": (11_900, ("Tent", "Sleeping Bag", "Stove", "Compass", "Canteen")),
        "Tools": (4_900, ("Hammer", "Wrench", "Chisel", "Drill", "Level")),
        "Toys": (2_400, ("Puzzle", "Kite", "Yo-yo", "Train Set", "Marionette")),
    }
)
MATERIALS = (
    "Aluminium", "Ash", "Bamboo", "Birch", "Brass", "Canvas", "Ceramic", "Cherry", "Copper",
    "Cork", "Cotton", "Enamel", "Felt", "Glass", "Leather", "Linen", "Marble", "Oak", "Pine",
    "Porcelain", "Rattan", "Steel", "Titanium", "Walnut", "Wool",
)  # fmt: skip
ADJECTIVES = (
    "Airy", "Bold", "Calm", "Classic", "Compact", "Crisp", "Deep", "Everyday", "Fine", "Folding",
    "Gentle", "Grand", "Handy", "Honest", "Light", "Little", "Mellow", "Modern", "Nimble",
    "Northern", "Patient", "Plain", "Quiet", "Rugged", "Rustic", "Sleek", "Slender", "Smooth",
    "Solid", "Spare", "Sturdy", "Sunny", "Swift", "Tall", "Timeless", "Trusty", "Urban",
    "Vintage", "Warm", "Wide",
)  # fmt: skip
COLOURS = (
    "amber", "black", "blue", "charcoal", "cream", "crimson", "forest green", "grey", "indigo",
    "ivory", "mustard", "navy", "olive", "orange", "plum", "red", "sand", "teal", "white", "yellow",
)  # fmt: skip
SENTENCES = (
    "Made to be used every day and repaired rather than replaced.",
    "Comes with a spare part and a leaflet that is worth reading.",
    "Finished by hand, so no two look quite alike.",
    "Packs flat, and needs no tool to be put together.",
    "Tested for ten thousand uses before it leaves the workshop.",
    "Designed for small homes and large plans.",
    "A present for somebody who has everything else.",
    "Wipe it clean with a damp cloth.",
    "Guaranteed for five years.",
    "Weighs less than it looks.",
)
FIRST_NAMES = (
    "Aisha", "Anna", "Arjun", "Bea", "Carlos", "Chloé", "Dmitri", "Elif", "Emma", "Farid", "Grace",
    "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Kofi", "Lea", "Liam", "Lucía", "Maja", "Marek", "Mei",
    "Nadia", "Noah", "Olga", "Omar", "Priya", "Rosa", "Sven", "Tariq", "Uma", "Vera", "Wei", "Yuki",
    "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Abe", "Adeyemi", "Andersen", "Bauer", "Bianchi", "Chen", "Costa", "Dubois", "Eriksson",
    "Fischer", "García", "Haddad", "Horvat", "Ivanova", "Jansen", "Kaya", "Kim", "Kowalski", "Lund",
    "Martin", "Mensah", "Moreau", "Nguyen", "Novák", "Okafor", "Patel", "Popov", "Quinn", "Rossi",
    "Sato", "Silva", "Singh", "Smith", "Tanaka", "Weber", "Zeman",
)  # fmt: skip

_STARTS = ("Al", "Bor", "Cal", "Dra", "El", "Fen", "Gal", "Hol", "Im", "Jor", "Kel", "Lor", "Mar",
           "Nor", "Or", "Pel", "Quin", "Ras", "Sol", "Tar")  # fmt: skip
_MIDDLES = ("a", "ami", "be", "co", "da", "e", "fi", "go", "i", "ka", "li", "mo", "na", "o", "pi",
            "ro", "sa", "ti", "u", "ve")  # fmt: skip
_ENDS = ("bay", "burg", "dale", "dor", "fell", "ford", "gate", "ham", "holm", "ley", "mere", "nia",
         "port", "ra", "stad", "ton", "vik", "well", "wick", "wood")  # fmt: skip


def brand(number: int) -> str:
    """Return the name of a brand; there are 160,000 of one or two middle syllables."""
    number, start = divmod(number, len(_STARTS))
    number, end = divmod(number, len(_ENDS))
    more, middle = divmod(number, len(_MIDDLES))
    second = _MIDDLES[more % len(_MIDDLES)] if more else ""
    return f"{_STARTS[start]}{_MIDDLES[middle]}{second}{_ENDS[end]}"
