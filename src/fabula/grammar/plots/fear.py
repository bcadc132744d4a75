"""A small brave deed: somebody needs the hero just where the hero is afraid to go."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# of: what the hero fears. call: why it must be faced. brave: the deed. scare: the worst moment. truth: what it really
# was. after: what is different now.
fear = lexicon(
    "fear",
    {
        "name": "dark",
        "of": "the dark",
        "call": "One evening, {his} [kitten|puppy] slipped out into the night and did not come back.",
        "brave": "took a lantern and stepped outside",
        "scare": "Something rustled in the bushes.",
        "truth": "But it was only {his} little pet, playing with a leaf.",
        "after": "The dark is only the day with its eyes closed, thought {hero}.",
    },
    {
        "name": "thunder",
        "of": "thunder",
        "call": "One stormy night, {his} baby cousin woke up and began to cry.",
        "brave": "crept out from under the blanket and ran to the baby's bed",
        "scare": "The thunder rumbled louder than ever.",
        "truth": '"It is only the clouds moving their furniture," said {hero}, and the baby stopped crying.',
        "after": "Soon the baby laughed at every boom, and {hero} laughed, too.",
    },
    {
        "name": "dog",
        "of": "the big dog next door",
        "call": "One day, {his} ball flew over the fence and landed right beside the dog.",
        "brave": "opened the gate with trembling fingers and walked in",
        "scare": "The dog jumped up and barked.",
        "truth": "Then the dog wagged its tail and laid the ball at {his} feet. It only wanted somebody to play with.",
        "after": "From then on, {hero} threw the ball for the dog every afternoon.",
    },
    {
        "name": "slide",
        "of": "the high slide",
        "call": "One day, a small boy sat at the top of the slide and did not dare to come down.",
        "brave": "climbed the ladder, one step after the other",
        "scare": "The ground looked terribly far away.",
        "truth": "Then {he} sat down behind the boy and held him tight, and together they flew down like the wind.",
        "after": '"Again!" shouted the boy. And they did it again, ten times.',
    },
    {
        "name": "attic",
        "of": "the noises in the attic",
        "call": "One cold evening, {his} baby sister needed the warm blanket from the attic.",
        "brave": "climbed up the dusty stairs with a candle",
        "scare": "Knock, knock, knock, went something in the corner.",
        "truth": "But it was only an open shutter that the wind pushed to and fro.",
        "after": "{He} closed the shutter, and the knocking was never heard again.",
    },
    {
        "name": "stage",
        "of": "speaking in front of people",
        "call": "On the day of the school play, the boy who was to say the first poem lost his voice.",
        "brave": "stepped onto the stage, for nobody else knew the poem",
        "scare": "A hundred faces looked at {him}.",
        "truth": "Then, in the last row, {his} family waved to {him}, and all the words came back.",
        "after": "The people clapped until their hands were red.",
    },
    {
        "name": "spiders",
        "of": "spiders",
        "call": "One morning, there was a spider in the bathtub, and {his} little cousin would not stop screaming.",
        "brave": "took a glass and a piece of paper and went in",
        "scare": "The spider lifted one of its eight legs.",
        "truth": "But it was more afraid than {hero} was! {He} carried it out and set it down among the flowers.",
        "after": "The next day, there was a web in the garden, and it glittered like silver.",
    },
    {
        "name": "old house",
        "of": "the old house at the corner",
        "call": "One day, a letter came for the old house, but it had been put in the wrong mailbox.",
        "brave": "walked up the path with the letter in {his} hand and rang the bell",
        "scare": "The door opened with a creak.",
        "truth": "There stood an old lady with kind eyes. She had waited for that letter for a whole year.",
        "after": "Every Sunday after that, {hero} visited her, and there was always plum cake.",
    },
    {
        "name": "bridge",
        "of": "the shaky bridge",
        "call": "One day, a lamb stood on the other side of the shaky bridge and cried for its mother.",
        "brave": "held on to the rail and put one foot in front of the other",
        "scare": "The boards creaked and swayed.",
        "truth": "But the bridge was stronger than it looked, and soon {hero} carried the lamb across in {his} arms.",
        "after": "The mother sheep came running, and the lamb was home again.",
    },
    {
        "name": "cellar",
        "of": "the cellar",
        "call": "One night, all the lights in the house went out, and the candles were down in the cellar.",
        "brave": "went down the cold steps and counted them aloud",
        "scare": "Two yellow eyes shone behind the shelf.",
        "truth": '"Meow," said the eyes. It was only the neighbor\'s cat, who was hunting for mice.',
        "after": "Soon the candles were burning, and the whole family told stories in the golden light.",
    },
)

RULES = """
fear:
- <fear of> {fear.call}[ <fear alone>|] <fear deed> {fear.truth}[ <fear relief>|] {fear.after}

fear of:
- {Hero} was not afraid of many things, but {he} was afraid of {new fear.of}.
- There was one thing that {hero} did not like at all, and that was {new fear.of}.
- {Hero} could [run fast|sing loudly|count to a hundred|tell good jokes], but {he} was afraid of {new fear.of}.
- Everybody is afraid of something, and {hero} was afraid of {new fear.of}.
- {Hero} had a secret. {He} was afraid of {new fear.of}.
- Just to think of {new fear.of} made {hero} feel cold all over.
- "What are you afraid of?" the other children asked. {Hero} did not tell them that it was {new fear.of}.

fear alone:
- Nobody else was near.
- {Hero} looked to the left and to the right, but nobody came to help.
- Somebody had to do something, and there was only {hero}.
- "Who will help?" thought {hero}. Then {he} knew the answer.
- {Hero} waited for somebody else to go. But nobody did.

fear deed:
- {Hero} {fear.brave}. <fear scare>
- All alone, {hero} {fear.brave}. <fear scare>
-2 <fear heart> Then {he} {fear.brave}. <fear scare>

fear heart:
- {Hero} [swallowed hard|took a deep breath|counted to three].
- {Hero} shook at the knees, and {his} heart beat like a drum.
- "I am scared," {hero} whispered, "but I can be scared and still do it."
- "One, two, three," {hero} said to {himself}. "I can do this."
- {Hero} wanted to hide, and {his} hands were cold.

fear scare:
- {fear.scare} {Hero} [stood still|nearly ran away], but {he} did not turn back.
- {fear.scare} "I am not going to run away," {he} told {himself}.
- {fear.scare} {Hero} shut {his} eyes for a moment, and then {he} looked.
- {fear.scare} {Hero} held {his} breath [and waited|and did not move].
- {fear.scare} For a moment, {hero} wanted to be somewhere else.
- {fear.scare} "Oh!" {he} gasped. But {he} did not run.

fear relief:
- {Hero} [laughed out loud|let out a long breath|had to smile].
- "So that is all!" said {hero}.
- How glad {hero} was!
- {His} heart grew light again.
- "And that was what I was afraid of!" said {hero}.
- {Hero} stopped shaking.

fear end:
- "You were so brave!" said {his} [mother|father|grandmother]. "I was afraid," said {hero}, "but I did it anyway."
- Being brave does not mean that you are never afraid. {Hero} knew that now.
- And {hero} was never quite so afraid of {fear.of} again.
- {Hero} stood a little straighter from that day on.
- "How did you do that?" asked {his} [cousin|teacher|neighbor]. "Step by step," said {hero}.
- "Weren't you afraid?" {his} friends asked. "Yes," said {hero}. "At first."
"""
