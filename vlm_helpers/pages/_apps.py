"""What stands on screens: made-up programs, and what people want when they click somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vlm_helpers._draws import Draws
from vlm_helpers.pages import _lexicon

Intents = dict[str, tuple[str, ...]]  # label: what somebody wants who clicks there


@dataclass(frozen=True)
class App:
    """A program. Every label stands for one thing in it.

    Attributes:
        titles: what its window may be called.
        tabs: its parts.
        entries: label of a text field: what makes its text.
        boxes: label of a box to tick: what ticking it is for, and what clearing it.
        choices: label of a group: its options, of which one is chosen.
        rows: makes one row of its list; `row` is what one wants who clicks it.
        buttons: its buttons.
        dialogs: a question, and the buttons below it.
        icons: which of `ICONS` mean something here that no label means.
    """

    titles: tuple[str, ...]
    buttons: Intents
    tabs: Intents = field(default_factory=dict)
    entries: dict[str, Callable[[Draws], str]] = field(default_factory=dict)
    boxes: dict[str, tuple[str, str]] = field(default_factory=dict)
    choices: dict[str, Intents] = field(default_factory=dict)
    rows: Callable[[Draws], str] | None = None
    row: str = ""
    dialogs: dict[str, Intents] = field(default_factory=dict)
    icons: tuple[str, ...] = ("close",)


def _of(*words: str) -> Callable[[Draws], str]:
    return lambda draws: draws.pick(words)


def _first(draws: Draws) -> str:
    return draws.pick(_lexicon.FIRST_NAMES)


def _town(draws: Draws) -> str:
    return draws.pick(_lexicon.CITIES)


def _secret(draws: Draws) -> str:
    return "*" * (5 + draws.below(5))


def _mail(draws: Draws) -> str:
    return f"{_first(draws)}: {draws.pick(SUBJECTS)}"


def _file(draws: Draws) -> str:
    return f"{draws.pick(FILES)}{draws.pick(('', '', '2', '3', '_new'))}.{draws.pick(ENDINGS)}"


def _song(draws: Draws) -> str:
    return f"{draws.pick(_lexicon.ADJECTIVES)} {draws.pick(_lexicon.NOUNS)}"


def _amount(draws: Draws) -> str:
    return _lexicon.money(_lexicon.price(draws, 30000), _lexicon.money_style(draws))


def _ware(draws: Draws) -> str:
    ware = f"{draws.pick(WARES)} {draws.pick(('S', 'M', 'L', 'mini', 'plus'))}"
    return f"{ware}, ${3 + draws.below(96)}"


def _meeting(draws: Draws) -> str:
    return f"{8 + draws.below(11)}:{draws.pick(('00', '15', '30', '45'))} {draws.pick(EVENTS)}"


def _page(draws: Draws) -> str:
    return (
        f"{draws.pick(_lexicon.CITIES)} {draws.pick(('guide', 'news', 'hotels', 'map', 'weather'))}"
    )


SUBJECTS = ("Lunch on Friday", "New photos", "Your invoice", "Team meeting", "Holiday plans",
            "Train tickets", "Happy birthday", "Project news", "Lost keys", "Weekly report",
            "Dinner?", "Call me back", "Party!", "Garden tools", "School trip")  # fmt: skip
FILES = ("report", "photo", "budget", "notes", "letter", "song", "plan", "trip", "menu", "map",
         "recipe", "invoice", "thesis", "poster", "logo")  # fmt: skip
ENDINGS = ("pdf", "png", "jpg", "txt", "doc", "xls", "zip")
WARES = ("Lamp", "Chair", "Kettle", "Rug", "Vase", "Clock", "Shelf", "Mug", "Pillow", "Desk",
         "Plant", "Mirror", "Basket", "Blanket", "Candle")  # fmt: skip
EVENTS = ("Dentist", "Yoga", "Team", "Lunch", "Choir", "Haircut", "Swimming", "School", "Interview",
          "Training", "Doctor", "Concert", "Chess club")  # fmt: skip

SAVE = ("keep the changes", "save what was entered")
CANCEL = ("leave everything as it was", "stop without any change")

APPS = {
    "mail": App(
        ("Mail", "Inbox", "Postbox", "Messages"),
        {
            "Reply": ("answer the message", "write back"),
            "Forward": ("pass the message on to somebody else",),
            "Delete": ("get rid of the message", "throw the message away"),
            "New": ("write a new message",),
            "Archive": ("put the message away for later",),
        },
        tabs={
            "Inbox": ("see what has arrived",),
            "Sent": ("see what was sent to others",),
            "Drafts": ("see what is not finished yet",),
            "Trash": ("see what was thrown away",),
        },
        rows=_mail,
        row="read the message",
        dialogs={
            "Delete this message?": {
                "Delete": ("get rid of it for good",), "Keep": ("leave it where it is",),
            },
            "No connection.": {"Retry": ("try once more",), "Close": ("close the notice",)},
        },
        icons=("close", "menu", "back", "search"),
    ),
    "files": App(
        ("Files", "Documents", "My folder", "Downloads"),
        {
            "Upload": ("bring in a file from elsewhere",),
            "Rename": ("give the file another name",),
            "Copy": ("make a second one of the file",),
            "Share": ("let somebody else see the file",),
            "Print": ("put the file on paper",),
        },
        tabs={
            "Recent": ("see what was opened last",),
            "Shared": ("see what others gave access to",),
            "Starred": ("see the favorites",),
        },
        rows=_file,
        row="open the file",
        dialogs={
            "Replace the file?": {
                "Replace": ("put the new one in place of the old one",),
                "Skip": ("keep the old one",),
            },
            "Empty the trash?": {
                "Empty": ("throw everything away",), "Cancel": CANCEL,
            },
        },
        icons=("close", "menu", "back", "search"),
    ),
    "settings": App(
        ("Settings", "Options", "Preferences", "Setup"),
        {
            "Save": SAVE,
            "Cancel": CANCEL,
            "Reset": ("go back to the standard settings",),
            "Help": ("get an explanation",),
        },
        tabs={
            "General": ("see the main settings",),
            "Display": ("change how the screen looks",),
            "Sound": ("change the volume",),
            "Privacy": ("change who may see personal data",),
        },
        boxes={
            "Dark mode": ("get dark colors", "get light colors again"),
            "Alerts": ("be told when something happens", "be left in peace"),
            "Auto update": ("have new versions installed", "stop new versions"),
            "Location": ("let the program know the place", "hide the place from the program"),
            "Backup": ("have copies made of everything", "stop making copies"),
            "Tips": ("be shown advice", "be shown no more advice"),
        },
        choices={
            "Text size": {
                "Small": ("make the letters small",),
                "Medium": ("give the letters a middle size",),
                "Large": ("make the letters large",),
            },
            "Speed": {
                "Slow": ("make it slow",), "Normal": ("set the usual speed",),
                "Fast": ("make it fast",),
            },
        },
        dialogs={
            "Save changes?": {"Save": SAVE, "Discard": ("throw the changes away",)},
            "Restart now?": {"Restart": ("start the device again",), "Later": ("wait with it",)},
        },
        icons=("close", "menu", "search"),
    ),
    "login": App(
        ("Sign in", "Log in", "Welcome", "My account"),
        {
            "Sign in": ("enter the account",),
            "Forgot?": ("get a new password",),
            "Register": ("open a new account",),
            "Help": ("get an explanation",),
        },
        entries={
            "User": lambda draws: _first(draws).lower() + _lexicon.digits(draws, 2),
            "Email": lambda draws: _lexicon.email(draws, _lexicon.person(draws)),
            "Password": _secret,
            "Code": lambda draws: _lexicon.digits(draws, 6),
        },
        boxes={
            "Remember me": ("stay known on this device", "be forgotten by this device"),
            "Terms read": ("agree to the rules", "take back the consent to the rules"),
        },
        dialogs={
            "Wrong password.": {"Retry": ("try once more",), "Cancel": CANCEL},
        },
        icons=("close", "back"),
    ),
    "shop": App(
        ("Shop", "Home store", "My cart", "Furniture"),
        {
            "Buy now": ("pay at once",),
            "Add to cart": ("put it with what will be bought",),
            "Checkout": ("finish shopping and pay",),
            "Wish list": ("remember it for another time",),
        },
        tabs={
            "New": ("see what has just come in",),
            "Sale": ("see what is cheaper now",),
            "Cart": ("see what will be bought",),
        },
        entries={
            "Amount": lambda draws: str(1 + draws.below(20)),
            "Voucher": _lexicon.code,
        },
        boxes={
            "Gift wrap": ("have it wrapped as a present", "get it without gift paper"),
            "Insurance": ("have it insured", "do without insurance"),
        },
        choices={
            "Delivery": {
                "Standard": ("have it sent the usual way",),
                "Express": ("get it as fast as possible",),
                "Pickup": ("fetch it oneself",),
            },
            "Color": {
                "Red": ("take the red one",), "Blue": ("take the blue one",),
                "Green": ("take the green one",),
            },
        },
        rows=_ware,
        row="look at the article",
        dialogs={
            "Remove the item?": {"Remove": ("take it out",), "Keep": ("leave it in",)},
        },
        icons=("close", "menu", "back", "search"),
    ),
    "event": App(
        ("New event", "Calendar", "Appointment", "Reminder"),
        {
            "Save": SAVE,
            "Cancel": CANCEL,
            "Delete": ("remove the appointment",),
            "Invite": ("ask somebody to come",),
        },
        tabs={
            "Day": ("see one day",), "Week": ("see seven days",),
            "Month": ("see four weeks or more",),
        },
        entries={
            "Title": _of(*EVENTS),
            "Date": _lexicon.date,
            "Time": _lexicon.clock,
            "Place": _town,
            "Guest": _first,
        },
        boxes={
            "All day": ("have it last from morning to night", "give it a beginning and an end"),
            "Alarm": ("be woken for it", "have no bell rung"),
            "Private": ("hide it from others", "let others see it"),
        },
        choices={
            "Repeat": {
                "Never": ("have it only once",), "Daily": ("have it every day",),
                "Weekly": ("have it once a week",),
            },
        },
        rows=_meeting,
        row="look at the appointment",
        dialogs={
            "Delete the event?": {"Delete": ("remove it for good",), "Keep": ("leave it there",)},
        },
        icons=("close", "menu"),
    ),
    "flight": App(
        ("Flights", "Book a trip", "Trains", "Tickets"),
        {
            "Search": ("find connections",),
            "Book": ("buy the ticket",),
            "Clear": ("empty the form",),
            "Swap": ("exchange start and goal",),
        },
        entries={
            "From": _town,
            "To": _town,
            "Date": _lexicon.date,
            "Persons": lambda draws: str(1 + draws.below(9)),
        },
        boxes={
            "Direct only": ("see no trips with a change", "see trips with a change too"),
            "Flexible": ("look at other days as well", "look at this day only"),
            "Window seat": ("sit beside the window", "sit anywhere"),
        },
        choices={
            "Trip": {
                "One way": ("travel there only",), "Return": ("travel there and back",),
            },
            "Class": {
                "Economy": ("travel cheaply",), "Business": ("travel in comfort",),
                "First": ("travel as comfortably as possible",),
            },
        },
        dialogs={
            "Pay now?": {"Pay": ("pay for it",), "Back": ("return to the form",)},
        },
        icons=("close", "menu"),
    ),
    "bank": App(
        ("My bank", "Transfer", "Payments", "Savings"),
        {
            "Send": ("let the money go",),
            "Check": ("have the form looked over",),
            "Cancel": CANCEL,
            "History": ("see earlier payments",),
        },
        tabs={
            "Accounts": ("see how much money there is",),
            "Cards": ("see the bank cards",),
            "Loans": ("see what was borrowed",),
        },
        entries={
            "Payee": _lexicon.person,
            "Account": lambda draws: _lexicon.digits(draws, 8),
            "Amount": _amount,
            "Reason": _of("Rent", "Gift", "Invoice 17", "Invoice 204", "Order 3", "Order 88"),
        },
        boxes={
            "Urgent": ("have it done at once", "let it take its time"),
            "Monthly": ("have it paid again every month", "have it paid only once"),
            "As template": ("keep the form for the next time", "forget the form afterwards"),
        },
        dialogs={
            "Send the money?": {"Send": ("let it go",), "Cancel": CANCEL},
        },
        icons=("close", "menu"),
    ),
    "music": App(
        ("Music", "Player", "My songs", "Radio"),
        {
            "Play": ("hear the song",),
            "Pause": ("stop the song for a moment",),
            "Next": ("go on to the song after this",),
            "Back": ("return to the song before",),
            "Shuffle": ("mix the order of the songs",),
        },
        tabs={
            "Songs": ("see single pieces",), "Albums": ("see whole records",),
            "Artists": ("see who made the music",),
        },
        boxes={
            "Repeat": ("hear it again and again", "hear it only once"),
            "Lyrics": ("see the words of the song", "hide the words of the song"),
        },
        choices={
            "Quality": {
                "Low": ("use little data",), "Middle": ("hear it in fair quality",),
                "High": ("hear it in the best quality",),
            },
        },
        rows=_song,
        row="hear the song",
        dialogs={
            "End of the list.": {
                "Again": ("start from the beginning",), "Stop": ("end the music",),
            },
        },
        icons=("close", "menu", "search"),
    ),
    "web": App(
        ("Search", "City web", "Travel page", "Web guide"),
        {
            "Search": ("look for the words",),
            "Images": ("see pictures only",),
            "Map": ("see where it lies",),
            "Sign in": ("enter the account",),
        },
        tabs={
            "Home": ("see the first page",), "News": ("read what has happened",),
            "About": ("learn who makes the page",), "Contact": ("write to the makers of the page",),
        },
        entries={"Query": lambda draws: f"{_town(draws)} {draws.pick(EVENTS).lower()}"},
        rows=_page,
        row="open the page",
        dialogs={
            "Use cookies?": {
                "Accept": ("agree to cookies",), "Reject": ("refuse cookies",),
            },
        },
        icons=("close", "menu"),
    ),
    "contact": App(
        ("Contact", "New contact", "Address book", "Guest list"),
        {
            "Save": SAVE,
            "Call": ("speak with the person",),
            "Write": ("send a message to the person",),
            "Remove": ("take the person off the list",),
        },
        entries={
            "Name": _lexicon.person,
            "Phone": _lexicon.phone,
            "City": _lexicon.city,
            "Street": _lexicon.street,
            "Birthday": _lexicon.date,
        },
        boxes={
            "Favorite": ("find the person quickly", "list the person with all others"),
            "Blocked": ("get no more calls from the person", "allow the person's calls again"),
        },
        rows=_lexicon.person,
        row="see the address of",
        dialogs={
            "Remove the person?": {
                "Remove": ("take the person off the list",), "Keep": ("leave the person there",),
            },
        },
        icons=("close", "back", "add"),
    ),
    "home": App(
        ("My home", "Kitchen", "Living room", "Heating"),
        {
            "Apply": ("have the new values used",),
            "Away": ("prepare the house for a journey",),
            "Night": ("prepare the house for sleep",),
            "History": ("see earlier values",),
        },
        tabs={
            "Rooms": ("see the parts of the house",), "Devices": ("see the machines",),
            "Energy": ("see what it costs",),
        },
        entries={
            "Degrees": lambda draws: f"{15 + draws.below(10)}.{draws.pick('05')}",
            "Start": _lexicon.clock,
        },
        boxes={
            "Lights": ("make it bright", "make it dark"),
            "Heating": ("make it warm", "let it grow cold"),
            "Blinds": ("keep the sun out", "let the sun in"),
            "Camera": ("watch the rooms", "stop watching the rooms"),
            "Door lock": ("lock the house", "unlock the house"),
        },
        choices={
            "Mode": {
                "Eco": ("save energy",), "Auto": ("let the house decide",),
                "Comfort": ("have it as pleasant as possible",),
            },
        },
        dialogs={
            "Door is open.": {"Lock it": ("lock the door",), "Ignore": ("leave it open",)},
        },
        icons=("close", "back", "menu", "add"),
    ),
}  # fmt: skip

ICONS = {  # drawn, without a word
    "close": ("close the window", "leave the program"),
    "back": ("go one step back", "return to the screen before"),
    "menu": ("open the menu", "see all functions"),
    "add": ("add something new", "make a new entry"),
    "search": ("look for something", "start a search"),
}

ENTRIES = {  # text fields whose label does not say what to fill in
    "From": ("fill in where the trip begins", "change the place of departure"),
    "To": ("fill in where the trip ends", "change the goal of the trip"),
    "User": ("fill in the user's name", "change the name of the user"),
    "Query": ("type what is to be looked for", "change the words of the search"),
    "Persons": ("fill in how many travel", "change the number of travelers"),
    "Degrees": ("set how warm it is to be", "change the temperature"),
    "Start": ("set when it is to begin", "change the time of the beginning"),
    "Guest": ("fill in who comes", "change who is invited"),
    "Amount": ("fill in how much it is to be", "change how much it is"),
    "Payee": ("fill in who gets the money", "change who gets the money"),
}
