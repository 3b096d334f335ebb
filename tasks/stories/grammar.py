"""The words and sentences of the children's stories: six plots of eight beats, each beat in two tellings.

The beats of a plot follow from each other. Each beat names two characters once, X and Y, in the parts of `PARTS`. A sentence
has these slots:

    X Y          a character's name, two tokens        x.he x.his y.he y.his      pronouns
    THING ADJ PLACE SPOT FOOD ANIMAL FEEL COLOUR       words that are drawn once for a story, so that they repeat
"""

from __future__ import annotations

PARTS = (
    ("first", "second"),  # they meet
    ("third", "fourth"),  # so do these
    ("needy", "helper"),  # of the first two, one is in need and tells the other
    ("helper", "finder"),  # who asks one of the other two
    ("finder", "friend"),  # who does something about it, with the fourth
    ("finder", "helper"),  # and hands it on
    ("helper", "needy"),  # to where it belongs
    ("friend", "finder"),  # and this is how it ends
)
"""The parts of X and Y in each beat. `needy` and `helper` are `first` and `second`, and `finder` and `friend` are `third` and
`fourth`, each in an order that is drawn for each story: the only randomness in who acts."""

PLOTS: dict[str, tuple[tuple[str, str], ...]] = {
    "lost": (
        ("one morning X met Y in the PLACE .", "it was a bright day and X saw Y near the PLACE ."),
        ("X was playing there with Y .", "not far away , X sat on the grass next to Y ."),
        ("X had lost a ADJ THING and told Y about it .", "X began to cry . x.he told Y that the THING was gone ."),
        ("X did not know what to do , so x.he ran to Y .", "X wanted to help , so x.he asked Y ."),
        ("X looked SPOT while Y searched SPOT . there it was !", "X called Y and they found the THING SPOT ."),
        ("X picked it up and gave the THING to Y .", "because it was not x.his own , X handed it to Y ."),
        ("X carried the ADJ THING back to Y , who felt FEEL .", "X ran home and put it in the hands of Y , who was FEEL ."),
        ("X said to Y , well done , my friend .", "X hugged Y and they all laughed together ."),
    ),
    "gift": (
        ("it was the birthday of X and Y came to the PLACE .", "X invited Y to a party in the PLACE ."),
        ("X brought a balloon and Y brought a COLOUR kite .", "X sang a song while Y danced in a circle ."),
        (
            "X wished for a ADJ THING , but nobody knew except Y .",
            "only one gift was missing . X whispered to Y , I want a THING .",
        ),
        ("X had no money , so x.he spoke with Y .", "the shop was closed , so X went to see Y ."),
        (
            "X made a THING out of wood and Y painted it COLOUR .",
            "X built one from paper , and Y tied a COLOUR ribbon around it .",
        ),
        ("X wrapped the box and passed it to Y .", "when it was ready , X sent it over with Y ."),
        (
            "X gave the gift to Y , who jumped up and felt FEEL .",
            "surprise ! shouted X , and Y opened the box . y.he was FEEL .",
        ),
        ("X told Y that making things is better than buying them .", "later X and Y ate the last piece of cake ."),
    ),
    "storm": (
        ("X and Y were walking to the PLACE when dark clouds came .", "the wind blew hard as X followed Y to the PLACE ."),
        ("X closed the windows and Y lit a candle .", "at the same time X and Y sat safe in a warm house ."),
        ("X slipped in the mud and hurt x.his knee , and Y heard it .", "X was afraid of thunder and held the arm of Y ."),
        ("X could not carry a friend alone , so x.he called Y .", "so X knocked at the door of Y and asked for help ."),
        ("X took a ADJ THING and woke up Y .", "X put on a coat , and Y grabbed a THING ."),
        ("X came through the rain and covered Y with a blanket .", "in the storm X reached Y with hot tea ."),
        (
            "X stayed beside Y until the sky was clear . now y.he felt FEEL .",
            "X sang softly to Y , and soon y.he was FEEL again .",
        ),
        ("X and Y watched the COLOUR rainbow above the hill .", "X promised Y never to go out in a storm again ."),
    ),
    "supper": (
        ("X lived in a PLACE and often ate with Y .", "every evening X cooked for Y in the PLACE ."),
        ("X grew carrots and Y kept a ANIMAL .", "next door , X baked bread with Y ."),
        ("X was very hungry , but the pot was empty , and Y saw it .", "X burned the FOOD and said sorry to Y ."),
        ("X had only one egg left , so x.he went to Y .", "X asked Y , may we borrow some FOOD ?"),
        ("X opened the kitchen door , and Y filled a ADJ basket .", "X cut some FOOD and Y washed the bowls ."),
        ("X shared half of the FOOD with Y .", "X filled a plate and pushed it to Y ."),
        ("X set the table , and Y tasted the FOOD . y.he was FEEL .", "soon X served a big supper to Y , who felt FEEL ."),
        ("X smiled at Y because sharing makes everything sweet .", "X and Y washed the dishes and told old tales ."),
    ),
    "animal": (
        ("X saw a ANIMAL near the PLACE and called Y .", "a little ANIMAL followed X and Y to the PLACE ."),
        ("X knew a lot about pets , and so did Y .", "X was feeding birds with Y ."),
        ("X found that the ANIMAL was sick , and told Y .", "X wept because the ANIMAL could not walk . Y listened ."),
        ("X did not want it to die , so x.he hurried to Y .", "X asked Y , can you heal a ANIMAL ?"),
        ("X mixed some milk and Y brought a soft towel .", "X read a thick book until Y found the right page ."),
        ("X gave the medicine to Y and explained how to use it .", "X put the bottle in the pocket of Y ."),
        (
            "X fed the ANIMAL , and Y held its paw . y.he felt FEEL .",
            "X and Y stayed awake , and at dawn it stood up . all were FEEL .",
        ),
        ("X named the ANIMAL after Y .", "X told Y that even the smallest life counts ."),
    ),
    "quarrel": (
        ("X and Y both wanted the same COLOUR THING .", "X pulled the ADJ THING away from Y ."),
        ("X heard the noise and looked at Y .", "X stopped a game with Y to listen ."),
        ("X got angry and broke it , and Y shouted .", "X pushed too hard , the THING fell , and Y was sad ."),
        ("X walked away and met Y on the road .", "X did not want to fight , so x.he visited Y ."),
        ("X had glue , and Y fixed the THING in an hour .", "X thought about it , and Y had a clever plan ."),
        ("X put the new THING on the bench for Y .", "it is yours , said X to Y , but play with it together ."),
        ("X said sorry to Y , and both felt FEEL .", "X took the hand of Y and they were FEEL ."),
        ("X and Y went home glad that peace was made .", "X winked at Y , for friends can always start over ."),
    ),
}

FILLERS: dict[str, str] = {
    "THING": "ball doll drum ring boat spoon whistle lamp mirror bucket puppet marble crown scarf button flute "
    "wagon puzzle shell brush feather lantern top sled mask cup coin bell rope hat",
    "ADJ": "shiny tiny heavy broken golden smooth round old lovely wooden strange precious dusty pretty silver fancy "
    "crooked favourite striped noisy",
    "PLACE": "garden park forest barn village meadow market harbour school castle library cave bakery orchard mill tower "
    "beach field square station attic cellar yard bridge valley",
    "SPOT": "under-the-bed behind-the-tree in-the-well near-the-fence inside-the-shed by-the-river on-the-roof "
    "under-the-stairs in-the-hay behind-the-curtain at-the-gate below-the-window",
    "FOOD": "soup bread cheese honey rice pie noodles beans pancakes porridge apples berries pears corn butter "
    "potatoes plums cookies",
    "ANIMAL": "kitten puppy rabbit goose pony hedgehog squirrel duck owl turtle lamb fox mouse goat sparrow frog calf "
    "badger swan hen",
    "FEEL": "happy proud calm brave glad safe lucky cheerful thankful joyful relieved merry",
    "COLOUR": "red blue green yellow purple orange pink white black brown grey violet",
}
"""The words of each slot; a SPOT is several words in one token."""

FIRST_NAMES = (
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jacob Kate Leo Mia Noah Olga Peter Queenie Robert Sara Thomas "
    "Una Victor Wendy Xaver Yara Zack Alice Bruno Cora Daniel Edith Frank Gina Hugo Irene Jonas Karen Lukas Maria "
    "Nils Nora Oscar Paula Ralf Rosa Simon Tina Urban Vera Walter Zoe Adam Bella Carl Dora Emil Flora Georg Hanna "
    "Ivan Julia Kurt Linda Martin"
)
"""Names of girls and boys in turn, so that the first token of a name determines the pronoun."""

SECOND_NAMES = (
    "Adler Baker Carter Dawson Ellis Fisher Gardner Hunter Irving Jensen Keller Lambert Mason Nolan Osborn Parker "
    "Quincy Reed Sawyer Turner Underhill Vogel Weaver Xenos Young Zimmer Archer Brooks Cooper Draper Eaton Foster "
    "Glover Harper Ingram Joyner Knight Lawson Miller Norton Oakley Potter Quill Ryder Shepherd Tanner Upton Vaughn "
    "Walker Yates Abbott Barker Chandler Dyer Elwood Fletcher Granger Hooper Ives Judge Kemp Landry Mercer Naylor"
)

PRONOUNS = {"he": ("she", "he"), "his": ("her", "his")}
"""The words of each pronoun, for girls and for boys."""
END, PAD = "<end>", "<pad>"


def syllable_name(number: int) -> str:
    """Return an invented name by its number, for pools that are larger than the lists."""
    syllables = [onset + vowel for onset in "bdfgklmnprstvz" for vowel in "aeiou"]
    name = ""
    while True:
        number, last = divmod(number, len(syllables))
        name = syllables[last] + name
        if number == 0:
            return name.capitalize() + "o"


def name_pool(names: str, size: int, offset: int) -> list[str]:
    """Return `size` different names: the given ones, then invented ones, whose numbers begin at `offset` + 70."""
    known = names.split()[:size]
    return known + [syllable_name(offset + extra) for extra in range(70, 70 + size - len(known))]
