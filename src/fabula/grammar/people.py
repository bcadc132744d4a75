"""Who the stories are about, and where they live."""

from __future__ import annotations

from fabula.grammar.book import lexicon

GIRL = {"child": "girl", "sibling": "sister", "he": "she", "him": "her", "his": "her", "himself": "herself"}
BOY = {"child": "boy", "sibling": "brother", "he": "he", "him": "him", "his": "his", "himself": "himself"}

# Heroes and helpers have different names, so that a name alone tells who acts.
HERO_GIRLS = """Alma Anna Clara Daisy Ella Emma Hana Ivy Julia Leila Lily Lucy Maya Mia Nina Nora Olive Poppy Rosa Ruby
    Sara Tara Wanda Zoe""".split()
HERO_BOYS = """Adam Ben David Eli Emil Felix Finn Hugo Jack Jonas Kai Leo Luca Max Milo Noah Omar Oscar Otto Ravi Sam
    Theo Toby Tom""".split()
FRIEND_GIRLS = "Amy Beth Carla Dora Fern Grace Greta Hazel Kate Lena Molly Pia Polly Sophie Tess Yara".split()
FRIEND_BOYS = "Ali Arthur Carl Dan Fred George Gus Henry Joe Ned Paul Peter Roy Simon Tim Walter".split()

# Family, as the children call them; these names need no introduction.
FAMILY = [
    {"name": "Mom", **GIRL},
    {"name": "Grandma", **GIRL},
    {"name": "Aunt Rose", **GIRL},
    {"name": "Dad", **BOY},
    {"name": "Grandpa", **BOY},
    {"name": "Uncle Bill", **BOY},
]

FRIENDS = [{"name": name, **GIRL} for name in FRIEND_GIRLS] + [{"name": name, **BOY} for name in FRIEND_BOYS]

hero = lexicon("hero", *({"name": n, **GIRL} for n in HERO_GIRLS), *({"name": n, **BOY} for n in HERO_BOYS))

friend = lexicon("friend", *FRIENDS)

owner = lexicon("owner", *FAMILY)

# Whoever helps: a friend or one of the family. The form `first` is for the first mention.
helper = lexicon(
    "helper",
    *({**person, "first": person["name"], "weight": "6"} for person in FAMILY),
    *({**person, "first": "{his} friend " + person["name"], "weight": "2"} for person in FRIENDS),
)

# at: where one lives. way: how one goes. near: where one looks first. far: where things are found in the end.
# loves: what a child does there. The castle and the ship, with weight 0, are never drawn: their openings name them.
place = lexicon(
    "place",
    {
        "name": "village",
        "at": "in a small village",
        "way": "down the lane",
        "near": "[behind the bakery|beside the old well|under the market tables]",
        "far": "[under the stone bridge|behind the church wall|in the long grass by the mill]",
        "loves": "[wave to the baker|listen to the church bell|feed the ducks on the pond]",
    },
    {
        "name": "farm",
        "at": "on a quiet farm",
        "way": "across the field",
        "near": "[behind the barn|in the hay|beside the duck pond]",
        "far": "[under the apple tree|behind the old tractor|near the sheep gate]",
        "loves": "[feed the hens|ride on the hay cart|watch the little lambs]",
    },
    {
        "name": "sea",
        "at": "in a white house by the sea",
        "way": "along the beach",
        "near": "[under the old boat|behind the big rocks|beside the pier]",
        "far": "[in a hollow in the sand|between two fishing nets|at the foot of the lighthouse]",
        "loves": "[collect pretty shells|count the sails|build castles in the sand]",
    },
    {
        "name": "forest",
        "at": "at the edge of a green forest",
        "way": "along the forest path",
        "near": "[behind the ferns|under the pine trees|beside the fallen log]",
        "far": "[near the stream|in a ring of mushrooms|under a hollow oak]",
        "loves": "[listen to the birds|pick sweet berries|hop over the roots]",
    },
    {
        "name": "town",
        "at": "in a busy little town",
        "way": "down the street",
        "near": "[behind the school|under the park bench|beside the fountain]",
        "far": "[near the bus stop|behind the library|under the slide in the playground]",
        "loves": "[look into the shop windows|ride the yellow bus|play tag in the park]",
    },
    {
        "name": "hill",
        "at": "on top of a windy hill",
        "way": "down the hill",
        "near": "[behind the stone wall|in the tall grass|beside the garden gate]",
        "far": "[at the bottom of the hill|among the daisies|under a thorny bush]",
        "loves": "[watch the clouds|run against the wind|roll down the slope]",
    },
    {
        "name": "river",
        "at": "near a slow, wide river",
        "way": "along the river",
        "near": "[behind the reeds|under the little bridge|beside the ferry house]",
        "far": "[between two flat stones|next to the water wheel|under the willow tree]",
        "loves": "[skip stones across the water|watch the fish jump|wave to the boats]",
    },
    {
        "name": "valley",
        "at": "in a valley between two mountains",
        "way": "up the winding trail",
        "near": "[behind the woodpile|beside the goat shed|under the cherry tree]",
        "far": "[beside a waterfall|under a rocky ledge|in the high meadow]",
        "loves": "[call out and hear the echo|pick mountain flowers|talk to the goats]",
    },
    {
        "name": "city",
        "at": "in a tall house in the city",
        "way": "across the courtyard",
        "near": "[behind the trash cans|under the fire escape|beside the bicycles]",
        "far": "[behind the flower pots|under the mailbox|next to the front door]",
        "loves": "[ride the elevator|watch the trains|look down at the tiny cars]",
    },
    {
        "name": "lake",
        "at": "in a wooden cabin by a lake",
        "way": "along the shore",
        "near": "[behind the canoe|under the porch|beside the fire pit]",
        "far": "[at the end of the dock|under a bush full of berries|behind a big gray stone]",
        "loves": "[watch the swans|look for frogs|float on {his} back in the water]",
    },
    {
        "name": "island",
        "at": "on a tiny island",
        "way": "around the bay",
        "near": "[behind the dunes|under the palm trees|beside the fishing huts]",
        "far": "[at the mouth of a cave|beside an empty basket|next to a sleeping turtle]",
        "loves": "[look for crabs|sing to the waves|jump over the tide pools]",
    },
    {
        "name": "garden",
        "at": "in a cottage with a big garden",
        "way": "through the garden",
        "near": "[behind the watering cans|under the rose bush|beside the shed]",
        "far": "[between the cabbages|under the wheelbarrow|near the beehives]",
        "loves": "[count the butterflies|dig for worms|smell the roses]",
    },
    {
        "name": "castle",
        "weight": "0",
        "at": "in an old castle",
        "way": "down the long hall",
        "near": "[behind the curtains|under the round table|beside the fireplace]",
        "far": "[at the foot of the tower|behind a suit of armor|beside the castle gate]",
        "loves": "[count the flags|march up and down the stairs|listen to the trumpets]",
    },
    {
        "name": "ship",
        "weight": "0",
        "at": "on a ship",
        "way": "across the deck",
        "near": "[behind the barrels|under the ropes|beside the anchor]",
        "far": "[under the lifeboat|at the foot of the mast|behind the big wheel]",
        "loves": "[watch the dolphins|climb the ropes|look through the spyglass]",
    },
)
