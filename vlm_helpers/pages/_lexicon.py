"""The words of pages, and how amounts, dates and codes are written."""

from __future__ import annotations

from vlm_helpers._draws import Draws

FIRST_NAMES = tuple(
    "Ada Adam Agnes Ahmed Alan Alice Amara Amir Amy Ana Andre Anna Anton Aria Ben Bella Bruno "
    "Carla Carl Chloe Clara Dana Daniel David Dora Edith Elena Elif Elio Emil Emma Eric Eva "
    "Farah Felix Finn Frida George Grace Greta Hana Hans Harry Helen Henry Hugo Ida Igor Ines "
    "Ivan Jack James Jana Jasmin Jonas Jose Julia Kai Karim Kate Kenji Lara Laura Leo Liam Lina "
    "Louis Lucy Luis Maja Marco Maria Mark Marta Max Maya Mei Mia Mila Milan Mona Nadia Nina "
    "Noah Nora Olga Olivia Omar Oscar Otto Paul Pedro Petra Philip Priya Rafael Ravi Rita "
    "Robert Rosa Ruth Sam Sara Simon Sofia Stella Sven Tara Thomas Tim Tom Uma Vera Victor "
    "Walter Wei Yara Yusuf Zoe".split()
)
LAST_NAMES = tuple(
    "Abbott Adler Ahmed Allen Andersen Baker Barnes Bauer Becker Bell Berg Bishop Black Blake "
    "Boyd Braun Brown Burke Carter Chen Clark Cole Cook Cooper Costa Cruz Dahl Davis Diaz Dixon "
    "Doyle Duarte Dunn Ellis Evans Fischer Fisher Flores Ford Foster Fox Frank Garcia Gibson "
    "Gomez Grant Gray Green Gupta Haas Hall Hansen Harris Hart Hayes Hill Hoffman Holm Hughes "
    "Hunt Ito Ivanov Jackson Jansen Jensen Jones Kaya Keller Kelly Khan King Klein Koch Kumar "
    "Lang Larsen Lee Lewis Lopez Lund Maier Marino Marsh Martin Mason Meyer Miller Mills Moore "
    "Morris Murphy Nagy Nash Nguyen Novak Olsen Owens Palmer Park Patel Perez Peters Porter "
    "Price Quinn Ramos Reed Reyes Rivera Roberts Rossi Roth Russo Ryan Santos Sato Schmidt "
    "Scott Shaw Silva Simon Singh Smith Stein Stone Suzuki Tanaka Taylor Thomas Turner Vargas "
    "Vogel Wagner Walker Walsh Ward Weber Wells West White Wilson Wolf Wong Wood Wright Yang "
    "Young Zhang Ziegler".split()
)
CITIES = tuple(
    "Amsterdam Athens Austin Basel Bergen Berlin Bern Bilbao Bologna Boston Bremen Bristol Brno "
    "Cairo Cardiff Chicago Cologne Cork Dallas Denver Dresden Dublin Essen Florence Geneva "
    "Genoa Ghent Glasgow Graz Hamburg Hanover Helsinki Houston Izmir Kyoto Leeds Leipzig Lille "
    "Lima Linz Lisbon London Lyon Madrid Malmo Mainz Marseille Memphis Miami Milan Montreal "
    "Munich Nairobi Naples Nice Oslo Oxford Padua Paris Perth Porto Prague Quito Riga Rome "
    "Salem Seattle Sofia Sydney Tallinn Tampa Toledo Toronto Trento Trier Turin Ulm Utrecht "
    "Valencia Verona Vienna Vilnius Warsaw York Zagreb Zurich".split()
)
STREETS = tuple(
    "Abbey Acorn Alder Apple Ash Bank Bay Beech Bell Birch Bridge Brook Canal Castle Cedar "
    "Chapel Cherry Church Cliff College Copper Corn Court Dock Elm Farm Ferry Field Forest "
    "Fountain Garden Gate Grove Harbor Hazel High Hill Hope Jubilee King Lake Lark Lime Linden "
    "Main Maple Market Meadow Mill Moss Oak Orchard Palace Park Pine Pond Poplar Prince Quarry "
    "Queen Railway River Rose School Silver South Spring Station Stone Temple Tower Union "
    "Valley Victoria Vine Water West Willow Windmill".split()
)
STREET_KINDS = ("Street", "Road", "Lane", "Avenue", "Square", "Way", "St.", "Rd.")
ADJECTIVES = tuple(
    "Amber Blue Bright Bronze Central City Corner Crystal Daily Early East Family First Fresh "
    "Friendly Garden Golden Good Grand Green Happy Harbor Hidden Honest Iron Ivory Jolly Little "
    "Lucky Magic Maple Metro Modern Moonlight New Nordic North Old Olive Orange Orchid Pearl "
    "Prime Purple Quick Quiet Rainbow Red Rapid River Royal Ruby Rustic Scarlet Silver Simple "
    "Sky Smart South Star Sunny Super Swift Tiny Top Urban Velvet Village Violet Warm West "
    "White Wild Windy Yellow".split()
)
NOUNS = tuple(
    "Acorn Anchor Apple Arrow Barn Basket Bear Bee Bell Bird Boat Bridge Castle Cat Cloud "
    "Clover Crow Crown Deer Dolphin Door Dove Dragon Eagle Elephant Falcon Feather Fern Flag "
    "Forest Fox Frog Garden Goose Hare Hawk Heron Hill Horse Island Key Kite Lamp Leaf Lemon "
    "Lighthouse Lily Lion Lotus Mill Moon Mountain Mouse Oak Otter Owl Panda Parrot Peak Pear "
    "Pepper Pigeon Pine Planet Plum Rabbit Raven River Robin Rocket Rose Salmon Seal Shell Ship "
    "Snail Sparrow Spoon Squirrel Star Stone Swan Table Tiger Tower Tree Tulip Turtle Walnut "
    "Whale Wheel Willow Wolf".split()
)
# What a shop is called, and what it sells: a prior on purpose, as in life.
SHOPS = {
    "grocery": (
        ("Market", "Foods", "Grocery", "Mart", "Fresh", "Store"),
        "Milk,Butter,Brown Bread,White Bread,Rye Bread,Eggs,Cheddar,Feta,Yogurt,Cream,Apples,"
        "Pears,Bananas,Oranges,Lemons,Grapes,Tomatoes,Potatoes,Onions,Carrots,Cucumber,Lettuce,"
        "Spinach,Peppers,Mushrooms,Garlic,Rice,Pasta,Flour,Sugar,Salt,Honey,Jam,Oats,Cereal,"
        "Olive Oil,Vinegar,Mustard,Ketchup,Beans,Lentils,Chicken,Ham,Salmon,Tuna,Shrimp,Tofu,"
        "Coffee,Green Tea,Black Tea,Cocoa,Orange Juice,Apple Juice,Water,Cola,Crackers,Cookies,"
        "Chocolate,Nuts,Raisins,Ice Cream,Soup,Pizza,Soap,Shampoo,Toothpaste,Sponges,Napkins,"
        "Foil,Candles,Batteries",
    ),
    "cafe": (
        ("Cafe", "Coffee", "Bakery", "Bistro", "Tea House", "Deli"),
        "Espresso,Double Espresso,Cappuccino,Latte,Flat White,Americano,Mocha,Hot Chocolate,"
        "Iced Tea,Mint Tea,Chai,Lemonade,Sparkling Water,Tap Water,Croissant,Almond Croissant,"
        "Bagel,Muffin,Scone,Brownie,Cheesecake,Carrot Cake,Apple Pie,Cinnamon Roll,Waffle,"
        "Pancakes,Granola Bowl,Fruit Salad,Avocado Toast,Club Sandwich,Egg Sandwich,Tomato Soup,"
        "Onion Soup,Caesar Salad,Greek Salad,Quiche,Omelette,Fries,Veggie Burger,Cheeseburger,"
        "Fish Cakes,Tacos,Risotto,Ramen,Curry,Lasagna,Gnocchi,Tiramisu,Sorbet",
    ),
    "hardware": (
        ("Hardware", "Tools", "Supply", "Depot", "DIY"),
        "Hammer,Nails,Screws,Bolts,Washers,Pliers,Saw,Drill Bits,Wrench,Level,Tape Measure,"
        "Sandpaper,Glue,Wood Glue,Duct Tape,Paint,White Paint,Brush,Paint Roller,Bucket,Ladder,"
        "Rope,Chain,Hooks,Hinges,Door Handle,Padlock,Key Copy,Light Bulb,LED Strip,"
        "Extension Cord,Socket,Switch,Fuse,Cable Ties,Pipe,Valve,Hose,Shovel,Rake,Plant Pot,"
        "Soil,Seeds,Gloves,Goggles,Dust Mask,Broom,Mop,Trash Bags,Wire",
    ),
    "books": (
        ("Books", "Papers", "Stationery", "Press", "Office"),
        "Notebook,Sketchbook,Diary,Calendar,Pencil,Pencils,Ballpoint Pen,Fountain Pen,Marker,"
        "Highlighter,Eraser,Sharpener,Ruler,Compass,Scissors,Stapler,Staples,Paper Clips,"
        "Envelopes,Stamps,Postcard,Birthday Card,Gift Wrap,Ribbon,Novel,Cookbook,Atlas,"
        "Dictionary,Comic,Poems,Travel Guide,Puzzle,Magazine,Newspaper,City Map,Folder,Binder,"
        "Printer Paper,Ink Cartridge,Glue Stick,Sticky Notes,Whiteboard,Chalk,Crayons,"
        "Watercolors,Canvas,Bookmark,Globe",
    ),
    "clothes": (
        ("Fashion", "Outfitters", "Clothing", "Sports", "Shoes"),
        "T-Shirt,Shirt,Blouse,Sweater,Hoodie,Cardigan,Jacket,Raincoat,Winter Coat,Vest,Jeans,"
        "Trousers,Shorts,Skirt,Dress,Leggings,Pajamas,Bathrobe,Socks,Wool Socks,Scarf,Gloves,"
        "Mittens,Beanie,Cap,Sun Hat,Belt,Tie,Sneakers,Boots,Sandals,Slippers,Swimsuit,Goggles,"
        "Backpack,Handbag,Wallet,Umbrella,Watch,Sunglasses,Football,Tennis Balls,Yoga Mat,"
        "Jump Rope,Water Bottle,Bike Helmet,Bike Light,Tent,Sleeping Bag,Towel",
    ),
}  # fmt: skip
SHOPS = {theme: (names, tuple(items.split(","))) for theme, (names, items) in SHOPS.items()}
COMPANY_KINDS = ("Ltd.", "Inc.", "GmbH", "LLC", "& Co.", "Group", "Studio", "Works", "Partners")
MONTHS = (
    "January February March April May June July August September October November December"
).split()

# --- amounts --------------------------------------------------------------------------------------

CURRENCIES = ("$", "€", "£", "EUR", "USD")


def money_style(draws: Draws, plain: float = 0.4) -> tuple[str, str, str]:
    """(before, decimal mark, after) of the amounts of a page; in a share of `plain` no currency."""
    if draws.chance(plain):
        return "", draws.pick(".,"), ""
    currency = draws.pick(CURRENCIES)
    if currency in "$£":
        return currency, ".", ""
    if draws.chance(0.5):
        return (currency if currency == "€" else f"{currency} "), draws.pick(".,"), ""
    return "", draws.pick(".,"), f" {currency}"


def money(cents: int, style: tuple[str, str, str]) -> str:
    """An amount in cents as it is printed, such as "$12.50" or "-2,00 EUR"."""
    before, mark, after = style
    sign = "-" if cents < 0 else ""
    return f"{sign}{before}{abs(cents) // 100}{mark}{abs(cents) % 100:02d}{after}"


def price(draws: Draws, most: int = 6000, least: int = 40) -> int:
    """Cents: small amounts are commoner, and many end in 9, 5 or 0."""
    cents = int(least + (most - least) * draws.uniform(0, 1) ** 2.5)
    return cents - cents % 10 + draws.weighted((9, 0, 5, draws.below(10)), (3, 3, 2, 2))


# --- dates ----------------------------------------------------------------------------------------

DATE_STYLES = ("iso", "dots", "slashes", "long", "short", "day")


def date(draws: Draws, style: str | None = None) -> str:
    """A date between 2015 and 2029 in one of `DATE_STYLES`; by default the draws choose."""
    style = style or draws.pick(DATE_STYLES)
    year, month, day = 2015 + draws.below(15), 1 + draws.below(12), 1 + draws.below(28)
    name = MONTHS[month - 1]
    return {
        "iso": f"{year}-{month:02d}-{day:02d}",
        "dots": f"{day:02d}.{month:02d}.{year}",
        "slashes": f"{month:02d}/{day:02d}/{year}",
        "long": f"{name} {day}, {year}",
        "short": f"{day} {name[:3]} {year}",
        "day": f"{day} {name} {year}",
    }[style]


def clock(draws: Draws) -> str:
    """A time of day, such as "14:05" or "2:05 pm"."""
    hour, minute = 7 + draws.below(15), draws.below(60)
    if draws.chance(0.3):
        return f"{(hour - 1) % 12 + 1}:{minute:02d} {'pm' if hour >= 12 else 'am'}"
    return f"{hour:02d}:{minute:02d}"


# --- names and codes ------------------------------------------------------------------------------


def digits(draws: Draws, n: int) -> str:
    return "".join(str(draws.below(10)) for _ in range(n))


def letters(draws: Draws, n: int) -> str:
    return "".join(draws.pick("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(n))


def person(draws: Draws) -> str:
    return f"{draws.pick(FIRST_NAMES)} {draws.pick(LAST_NAMES)}"


def street(draws: Draws) -> str:
    number, name = 1 + draws.below(199), f"{draws.pick(STREETS)} {draws.pick(STREET_KINDS)}"
    return f"{number} {name}" if draws.chance(0.7) else f"{name} {number}"


def city(draws: Draws) -> str:
    """A city, mostly with a post code."""
    name = draws.pick(CITIES)
    return name if draws.chance(0.3) else f"{digits(draws, 5)} {name}"


def phone(draws: Draws) -> str:
    a, b, c = digits(draws, 3), digits(draws, 3), digits(draws, 4)
    return draws.pick((f"{a}-{b}-{c}", f"({a}) {b}-{c}", f"+{1 + draws.below(98)} {a} {b}{c[:1]}",
                       f"0{a} {b}{c}"))  # fmt: skip


def email(draws: Draws, name: str) -> str:
    first, last = name.lower().split()[0], name.lower().split()[-1]
    user = draws.pick((first, f"{first}.{last}", f"{first[0]}{last}"))
    return f"{user}@{draws.pick(NOUNS).lower()}.{draws.pick(('com', 'org', 'net', 'de', 'io'))}"


def code(draws: Draws) -> str:
    """An invoice or order number."""
    n = digits(draws, 3 + draws.below(4))
    return draws.pick((n, f"{letters(draws, 2)}-{n}", f"{letters(draws, 1)}{n}",
                       f"{2015 + draws.below(15)}-{n[:4]}", f"{n[:2]}/{n}"))  # fmt: skip


def iban(draws: Draws) -> str:
    """In the form of an IBAN, in groups of four; its check digits mean nothing."""
    country = draws.pick(("DE", "FR", "NL", "AT", "ES", "IT"))
    return f"{country}{digits(draws, 2)} {digits(draws, 4)} {digits(draws, 4)} {digits(draws, 4)}"


def company(draws: Draws) -> str:
    style = draws.below(3)
    if style == 0:
        return f"{draws.pick(LAST_NAMES)} {draws.pick(COMPANY_KINDS)}"
    if style == 1:
        return f"{draws.pick(ADJECTIVES)} {draws.pick(NOUNS)} {draws.pick(COMPANY_KINDS)}"
    return f"{draws.pick(LAST_NAMES)} & {draws.pick(LAST_NAMES)}"


def shop(draws: Draws, theme: str) -> str:
    kinds = SHOPS[theme][0]
    first = draws.pick((draws.pick(ADJECTIVES), draws.pick(NOUNS), draws.pick(LAST_NAMES) + "'s",
                        draws.pick(CITIES)))  # fmt: skip
    middle = f" {draws.pick(NOUNS)}" if draws.chance(0.35) else ""
    return f"{first}{middle} {draws.pick(kinds)}"


def several(draws: Draws, words, n: int) -> list[str]:
    """`n` different ones of `words`."""
    return draws.shuffled(words)[:n] if n > 4 else _few(draws, words, n)


def _few(draws: Draws, words, n: int) -> list[str]:
    found: list[str] = []
    while len(found) < n:
        word = draws.pick(words)
        if word not in found:
            found.append(word)
    return found
