"""An animal in trouble: the first try fails, good advice helps, and the animal does not forget."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# sound: what the hero hears. trouble: what is wrong. fail: the first try. advice: said by the helper. cure: what works.
# after: how the animal thanks.
animal = lexicon(
    "animal",
    {
        "name": "puppy",
        "a": "a brown puppy",
        "sound": "a sad little whine",
        "trouble": "It was wet and shivering, and it had no home",
        "fail": "it was too scared to come closer",
        "advice": "Sit down on the ground and wait until it comes to you.",
        "cure": "sat down and waited without a sound, and at last the puppy crept closer and licked {his} fingers",
        "after": "The puppy [never left {his} side again|got a warm bath and slept at the foot of {his} bed].",
    },
    {
        "name": "sparrow",
        "a": "a gray sparrow",
        "sound": "a weak chirp",
        "trouble": "One of its wings hung down",
        "fail": "it hopped away in fear",
        "advice": "Make a soft nest in a box and give it seeds and peace.",
        "cure": "filled a box with soft grass, and every day the sparrow ate seeds from {his} hand",
        "after": "One morning, the sparrow spread its wings and flew [around {his} head|up into the blue sky].",
    },
    {
        "name": "kitten",
        "a": "a white kitten",
        "sound": "a tiny meow",
        "trouble": "It sat high up on a wall and could not get down",
        "fail": "it only climbed up higher",
        "advice": "Put some milk in a bowl and lean a board against the wall.",
        "cure": "brought a board and a bowl of milk, and step by step the kitten came down and drank it all",
        "after": "The kitten [purred like a small engine|rolled itself into a ball on {his} lap].",
    },
    {
        "name": "hedgehog",
        "a": "a round hedgehog",
        "sound": "a rustle and a sniff",
        "trouble": "It was caught in an old net",
        "fail": "it rolled up into a ball of needles",
        "advice": "Put on thick gloves and cut the net, one string after the other.",
        "cure": "put on thick gloves and cut one string after the other until the hedgehog was free",
        "after": "Every evening after that, the hedgehog came for a bowl of [water|apple slices].",
    },
    {
        "name": "turtle",
        "a": "a big turtle",
        "sound": "a scratching noise",
        "trouble": "It lay on its back and waved its legs in the air",
        "fail": "it was much too heavy",
        "advice": "Push a strong stick under its shell and lift it slowly.",
        "cure": "pushed a strong stick under its shell and lifted, and the turtle stood on its feet again",
        "after": "The turtle blinked twice, as if to say thank you, and [walked away|went on its journey].",
    },
    {
        "name": "squirrel",
        "a": "a red squirrel",
        "sound": "a strange knocking",
        "trouble": "Its head was stuck in a jar",
        "fail": "the jar did not move",
        "advice": "Rub some butter around the edge of the jar.",
        "cure": "rubbed butter around the edge of the jar, and with a plop the squirrel was free",
        "after": "The next morning, three [nuts|acorns] lay on {his} windowsill.",
    },
    {
        "name": "bumblebee",
        "a": "a tired bumblebee",
        "sound": "a faint hum",
        "trouble": "It was too weak to fly",
        "fail": "it fell down again at once",
        "advice": "Mix a drop of water with a little sugar, and put it on a spoon.",
        "cure": "held out a spoon with sugar water, and the bumblebee drank with its long tongue",
        "after": "Soon the bumblebee flew off, and all summer it hummed around {his} [flowers|window].",
    },
    {
        "name": "fox",
        "a": "a young fox",
        "sound": "a quiet whimper",
        "trouble": "There was a thorn in its paw",
        "fail": "it showed its teeth",
        "advice": "Sing to it softly, so that it is not afraid.",
        "cure": "sang a soft song, and while the fox listened, {he} pulled out the thorn",
        "after": "Sometimes, when the moon was bright, the fox [stood under {his} window|looked at {him} from afar].",
    },
    {
        "name": "duckling",
        "a": "a yellow duckling",
        "sound": "a thin peep",
        "trouble": "It had fallen into a deep hole",
        "fail": "{his} arm was too short",
        "advice": "Pour water into the hole. Ducklings can swim!",
        "cure": "poured in one can of water after the other, and the duckling swam up to the top",
        "after": "The duckling's mother was already [calling|waiting], and it ran to her as fast as it could.",
    },
    {
        "name": "rabbit",
        "a": "a shy rabbit",
        "sound": "a soft thumping",
        "trouble": "Its foot was caught in a loop of wire",
        "fail": "it kicked in fear",
        "advice": "Cover its eyes with your scarf. In the dark it will keep still.",
        "cure": "covered its eyes with a scarf and opened the loop with both hands",
        "after": "The rabbit hopped away, but [it looked back three times|later it came back with five baby rabbits].",
    },
    {
        "name": "owl",
        "a": "a baby owl",
        "sound": "a small, sleepy hoot",
        "trouble": "It had tumbled out of its nest",
        "fail": "{he} could not reach the nest",
        "advice": "Put it in a basket, and we will pull the basket up with a rope.",
        "cure": "put the owl in a basket, and they pulled it up with a rope until it was home again",
        "after": "Every night after that, a friendly hoot [wished {him} sweet dreams|came from the nest].",
    },
)

RULES = """
animal:
- <animal sound> <animal trouble> <animal fail> <animal advice> <animal cure> <animal after>

animal sound:
- <One day>, {hero} heard {new animal.sound}. It came from somewhere {place.near}.
- <One day>, as {hero} went {place.way}, {he} heard {new animal.sound}. {He} stopped at once and looked {place.near}.
- "What was that?" asked {hero} <one day>. {He} had heard {new animal.sound} {place.near}.
- {Hero} was on {his} way home when {he} heard {new animal.sound}. {He} looked {place.near}.

animal trouble:
- There {he} [found|discovered|saw] {animal.a}. {animal.trouble}.
- It was {animal.a}! {animal.trouble}.
- And who was there? It was {animal.a}. {animal.trouble}.

animal fail:
- "You poor thing," said {hero}. {He} tried to help, but {animal.fail}.
- "Do not be afraid," whispered {hero}. But when {he} put out {his} hand, {animal.fail}.
- {Hero} knew that {he} had to do something. {He} tried with {his} bare hands, but {animal.fail}.
- "I will help you," {he} said. {He} tried once and {he} tried twice, but {animal.fail}.

animal advice:
- So {he} ran to get {new helper.first}. "I know what to do," said {helper}. "{animal.advice}"
- {He} called {new helper.first}, who thought for a moment and said, "{animal.advice}"
- "What should I do?" {he} asked {new helper.first}. {Helper} whispered, "{animal.advice}"
- Luckily, {new helper.first} knew about animals. "Wait," said {helper}. "{animal.advice}"

animal cure:
- {Hero} {animal.cure}.
- That was a good plan. {Hero} {animal.cure}.
- So {hero} {animal.cure}.
- {His} hands shook a little, but {hero} {animal.cure}.

animal after:
- "Well done!" said {helper}. {animal.after}
- {Hero} laughed with joy. {animal.after}
- {Hero} was so glad that {he} almost [danced|cried|sang]. {animal.after}
- "Now you are safe," said {hero}. {animal.after}
- How good that felt! {animal.after}

animal end:
- {Hero} felt [warm inside|ten feet tall].
- "A small kindness can be a big one for somebody small," said {helper}.
- From that day on, {hero} always listened for those who needed help.
- "We did it together," said {hero}, and {he} took {helper} by the hand.
- {Hero} was as proud as a king.
- It is good to have big ears for small sounds, thought {hero}.
"""
