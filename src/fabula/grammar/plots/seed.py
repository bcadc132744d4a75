"""A seed and a lesson in patience: what grows needs time, and then there is enough to share."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# seed: what it looks like. grown: the day it is ready. share: what becomes of it.
plant = lexicon(
    "plant",
    {
        "name": "sunflower",
        "seed": "a striped seed",
        "grown": "a sunflower as big as a plate looked over the wall",
        "share": "All the birds came to taste the seeds, and {hero} kept one handful for the next spring.",
    },
    {
        "name": "pumpkin",
        "seed": "a flat white seed",
        "grown": "an orange pumpkin lay there, so heavy that nobody could lift it alone",
        "share": "They rolled it into the kitchen and cooked soup for the whole street.",
    },
    {
        "name": "beanstalk",
        "seed": "a spotted bean",
        "grown": "a beanstalk had climbed right up to {his} window",
        "share": "{Hero} picked a basket full of beans without even leaving {his} room.",
    },
    {
        "name": "strawberry plant",
        "seed": "a seed as small as a grain of sand",
        "grown": "ten red strawberries peeped out from under the leaves",
        "share": "{Hero} ate five, and {helper} ate five, and that was fair.",
    },
    {
        "name": "poppy",
        "seed": "a round gray seed",
        "grown": "a red poppy opened its cup to the sun",
        "share": "A bee flew in, turned around three times, and came out all golden.",
    },
    {
        "name": "tomato plant",
        "seed": "a pale little seed",
        "grown": "round tomatoes hung there like tiny red balloons",
        "share": "They ate them warm from the sun, with bread and a pinch of salt.",
    },
    {
        "name": "carrot",
        "seed": "a thin brown seed",
        "grown": "green leaves like feathers stood there, and under them was the longest carrot of all",
        "share": "{Hero} pulled and {helper} pulled, until they both sat on the ground with the carrot between them.",
    },
    {
        "name": "apple tree",
        "seed": "a shiny brown apple seed",
        "grown": "a little apple tree stood there, and it had its very first flowers",
        "share": "It grew along with {hero}, and years later, the two of them were still good friends.",
    },
    {
        "name": "melon",
        "seed": "a smooth black seed",
        "grown": "a melon as round as the moon lay in the leaves",
        "share": "It was so sweet that the juice ran down their chins, and they all laughed.",
    },
)

RULES = """
seed:
- <seed gift>[ <seed question>|] <seed plant> <seed wait> [<seed wrong>|2:<seed advice>|<seed wrong> <seed advice>]
  <seed patience> <seed grown>

seed gift:
- <One day>, {new helper.first} gave {hero} {new plant.seed}.
- <One day>, {hero} found {new plant.seed} in [an old drawer|a coat pocket|a dusty tin] and showed it to
  {new helper.first}.
- "Hold out your hand," {new helper.first} said <one day>, and put {new plant.seed} into it.
- <One day>, {hero} and {new helper.first} were cleaning the shed. In a corner lay {new plant.seed}.

seed question:
- "What will it be?" asked {hero}. "Wait and see," said {helper}.
- "It is so small!" said {hero}. "It is bigger inside," said {helper}.
- "Can I eat it?" asked {hero}. {Helper} laughed. "Not yet. You must plant it first."

seed plant:
- So {hero} dug a hole and put it into the earth.
- {Hero} filled a pot with dark soil and pushed the seed in with one finger.
- {Hero} found a sunny spot, dug a hole, and covered the seed with a blanket of earth.

seed wait:
- The next morning, {he} ran to look. There was nothing.
- {He} looked in the morning, {he} looked at noon, and {he} looked before bed. Nothing!
- One day went by, and then another, but nothing happened.
- Every day, {he} came with a magnifying glass to see if it had moved. It had not.

seed wrong:
- "Grow!" {he} shouted. The earth did not answer.
- {He} gave it so much water that it nearly floated away.
- {He} even sang to it, but it did not come out.
- "Maybe it is asleep," {he} thought, and knocked on the earth three times.
- "Maybe it is cold," {he} thought, and put {his} best hat on top of it.

seed advice:
- "You cannot hurry a seed," said {helper}. "It needs water, sun and time."
- "It is busy," said {helper}. "First it makes its roots, and nobody can see that."
- {Helper} smiled. "Good things grow slowly," {helper.he} said.
- "Is it broken?" {he} asked. "No," said {helper}. "It is only counting the days."

seed patience:
- So {hero} waited. {He} gave it a little water each day and pulled out the weeds.
- {Hero} sighed, but {he} waited through the rain and through the wind.
- So {hero} learned to wait, and that was harder than digging.
- After that, {hero} looked only once a day, and {he} let the sun do its work.

seed grown:
- Then, <one day>, there was a green tip, as thin as a needle! <seed weeks> {plant.grown}. {plant.share}
- And then, <one day>, the earth cracked, and a tiny leaf looked out. <seed weeks> {plant.grown}. {plant.share}
- "Come quickly!" {he} called <one day>. A green shoot had come up! <seed weeks> {plant.grown}. {plant.share}

seed weeks:
- It grew and grew, until
- Weeks went by, and at last
- When summer came,
- Leaf after leaf unfolded, and then
- It took its time, but in the end

seed end:
- "I did it!" said {hero}. "You did it together with the sun," said {helper}.
- And when somebody asked how {he} had done it, {hero} said, "I waited."
- Now {hero} knew that waiting can be a kind of work.
- "Shall we plant another one?" asked {helper}. And of course they did.
- {Hero} looked at the {plant} and felt as proud as a king.
"""
