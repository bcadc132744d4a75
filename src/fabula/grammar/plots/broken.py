"""Somebody's favorite thing is broken by accident; hiding it is heavy, the truth is light, and the thing is mended."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# how: the accident. crash: what one hears and sees. mend: how it is made whole. after: what it is like now.
broken = lexicon(
    "broken",
    {
        "name": "blue cup",
        "how": "ran past the table and bumped into it",
        "crash": "Crash! The cup fell down and broke in two.",
        "mend": "glued the two halves together",
        "after": "It had a thin line in the middle now, like a smile.",
    },
    {
        "name": "flower pot",
        "how": "threw a ball, and it flew much too far",
        "crash": "Bang! The flower pot lay in pieces, and there was dirt everywhere.",
        "mend": "found a new pot, painted it yellow, and planted the flower again",
        "after": "A week later, the flower had two new buds.",
    },
    {
        "name": "picture frame",
        "how": "jumped on the bed, higher and higher",
        "crash": "Crack! The picture frame dropped from the wall and split.",
        "mend": "made a new frame out of twigs and shells",
        "after": "It looked even prettier than before.",
    },
    {
        "name": "rocking chair",
        "how": "rocked as wildly as if the chair were a horse",
        "crash": "Snap! One leg of the chair broke off.",
        "mend": "sawed a new leg and fixed it with four long nails",
        "after": "The chair rocked a little to the left now, and that was funny.",
    },
    {
        "name": "clock",
        "how": "wanted to see what was inside the clock that ticked so loudly",
        "crash": "Pling! A spring jumped out, and the clock stood still.",
        "mend": "put every little wheel back where it belonged",
        "after": "Tick, tock, said the clock, and it was never late again.",
    },
    {
        "name": "umbrella",
        "how": "played that the umbrella was a parachute",
        "crash": "Rip! There was a long tear in the cloth.",
        "mend": "sewed the tear with red thread",
        "after": "When it rained, everybody liked the bright red seam best.",
    },
    {
        "name": "telescope",
        "how": "wanted to look at the moon, and leaned out much too far",
        "crash": "Crunch! The telescope fell on the ground and was bent.",
        "mend": "bent it straight again with a small hammer and much patience",
        "after": "Now the moon looked a bit like an egg, but it was just as bright.",
    },
    {
        "name": "lamp",
        "how": "chased a fly through the room with a pillow",
        "crash": "Clang! The lamp tumbled over, and its shade came off.",
        "mend": "made a new shade out of colored paper",
        "after": "In the evening, it threw red and green spots on the ceiling.",
    },
    {
        "name": "teapot",
        "how": "tried to carry all the dishes at once",
        "crash": "Clatter! The handle of the teapot came off.",
        "mend": "tied on a new handle made of rope",
        "after": "The tea tasted as good as ever.",
    },
    {
        "name": "guitar",
        "how": "plucked the guitar with all {his} strength",
        "crash": "Twang! A string broke with a sad sound.",
        "mend": "put on a new string and tuned it",
        "after": "And then there was music all evening.",
    },
    {
        "name": "snow globe",
        "how": "shook the snow globe to make a storm",
        "crash": "Splash! It slipped away, and the water ran across the floor.",
        "mend": "put the tiny house from inside into a clean jar with new water and silver glitter",
        "after": "It snowed again, and it snowed even harder than before.",
    },
)

RULES = """
broken:
- <broken crash> <broken hide> <broken heavy> <broken truth> <broken answer> <broken mend>

broken crash:
- {new Owner} had an old {new broken} that {owner.he} loved. <One day>, {hero} {broken.how}. {broken.crash}
- <One day>, {hero} was playing near the {new broken} that belonged to {new owner}. {He} {broken.how}. {broken.crash}
- "Please be careful with my {new broken}," {new owner} always said. But <one day>, {hero} {broken.how}. {broken.crash}
- There was one thing that {new owner} was very fond of, and that was an old {new broken}. <One day>, {hero}
  {broken.how}. {broken.crash}

broken hide:
- "Oh no!" [whispered|gasped] {hero}. [Quickly|In a hurry], {he} hid it {place.near}.
- {Hero} looked around. Nobody had seen it. {He} hid everything {place.near}.
- "Maybe nobody will notice," thought {hero}, and {he} hid it {place.near}.
- {Hero} turned pale. Without a word, {he} carried it away and hid it {place.near}.

broken heavy:
- But {his} tummy felt as heavy as a stone[| all day long].
- But every time {he} heard footsteps, {his} face turned [red|hot].
- But at supper, {he} could not eat a bite.
- But whatever {he} played, it was no fun.
- But that night, {he} could not sleep.
- But the secret grew bigger and bigger, until there was no room for anything else.

broken truth:
- "Has anybody seen my {broken}?" asked {owner}. <broken confess>
- At last, {hero} took {owner} by the hand. "It was me," {he} said. "I broke your {broken}."
- At last, {hero} went to {owner} and told {owner.him} [everything|the whole truth]. {He} even cried a little.
- "You are so quiet[ today|]," said {owner}. "Is something wrong?" <broken confess>

broken confess:
- "I broke it," said {hero} in a small voice. "I am so sorry."
- "It was my fault," said {hero}, and a tear ran down {his} cheek. "I broke your {broken}, and then I hid it."
- {Hero} showed {owner.him} what had happened. "I was afraid to tell you," {he} said.
- {Hero} took a deep breath and told {owner.him} how it had happened.

broken answer:
- {Owner} was silent for a moment. "I am sad about it," {owner.he} said, "but I am glad that you told me."
- {Owner} put an arm around {him}. "Things can be mended," {owner.he} said.
- {Owner} shook {owner.his} head, but then {owner.he} smiled. "You matter more to me than things," {owner.he} said.
- "Thank you for telling me the truth," said {owner}. "That was harder than breaking it."
- "When I was small, I broke a window," said {owner}, "and I hid for a whole day." Then they both had to smile.

broken mend:
- Together they {broken.mend}. {broken.after}
- Then they looked at the damage. They {broken.mend}. {broken.after}
- The next day, they sat down side by side and {broken.mend}. {broken.after}
- "May I help to make it good again?" asked {hero}. And so they {broken.mend}. {broken.after}

broken end:
- And {hero} could eat and sleep and laugh again.
- {Hero} felt as light as a feather.
- "Now it is our {broken}," said {owner}, "because we made it together."
- After that, {hero} was much more careful.
- That evening, they sat close together and [told jokes|sang|looked at it proudly].
- The truth is like an open window, thought {hero}. It lets in fresh air.
"""
