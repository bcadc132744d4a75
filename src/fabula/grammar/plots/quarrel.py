"""Two friends want the same thing, quarrel, miss each other, and find a way for two."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# both: how it starts. spoil: what the quarrel leads to. idea: said by the one, share: done by both.
shared = lexicon(
    "shared",
    {
        "name": "swing",
        "both": "ran to the swing at the same time",
        "spoil": "the swing got all twisted, and nobody could use it",
        "idea": "One of us can push while the other one swings.",
        "share": "{Hero} pushed {friend}, and then {friend} pushed {hero}, up and up into the sky.",
    },
    {
        "name": "cookie",
        "both": "reached for the last cookie on the plate",
        "spoil": "the cookie broke in two",
        "idea": "Now there is one piece for you and one piece for me.",
        "share": "They sat on the step and ate one piece each, and it tasted twice as good.",
    },
    {
        "name": "wagon",
        "both": "wanted to ride in the red wagon",
        "spoil": "a wheel came off the wagon",
        "idea": "One of us can sit in it, and the other one can pull.",
        "share": "Together they put the wheel back on. {Hero} pulled first, and {friend} rang the bell.",
    },
    {
        "name": "crayon",
        "both": "wanted to draw with the blue crayon",
        "spoil": "the crayon snapped in the middle",
        "idea": "Look, now we have two blue crayons!",
        "share": "They drew one big ocean, and each of them colored half of the waves.",
    },
    {
        "name": "trumpet",
        "both": "found an old trumpet in a box",
        "spoil": "the trumpet fell down with a loud clang",
        "idea": "You can play while I dance, and then we change places.",
        "share": "They took turns, and before long all the neighbors were dancing, too.",
    },
    {
        "name": "storybook",
        "both": "wanted to read the new storybook",
        "spoil": "a page tore with an ugly sound",
        "idea": "You can read aloud, and I can turn the pages.",
        "share": "They glued the page together. Then {hero} read, and {friend} did all the funny voices.",
    },
    {
        "name": "bucket",
        "both": "wanted to use the big bucket in the sandbox",
        "spoil": "the handle of the bucket came off",
        "idea": "I can fill it, and you can tip it over.",
        "share": "Together they built a sandcastle with four towers and a bridge.",
    },
    {
        "name": "blanket",
        "both": "wanted the striped blanket for a cape",
        "spoil": "the blanket landed in a puddle",
        "idea": "It is big enough to make a tent for two.",
        "share": "They washed the blanket and hung it over two chairs, and it made a very fine tent.",
    },
    {
        "name": "beach ball",
        "both": "wanted to have the new beach ball",
        "spoil": "the beach ball slipped away and rolled into the mud",
        "idea": "You can throw it, and I can catch it.",
        "share": "The beach ball flew back and forth between them until supper.",
    },
    {
        "name": "hammock",
        "both": "wanted to lie in the hammock",
        "spoil": "the hammock turned over and dropped them both on the ground",
        "idea": "You can lie at that end, and I can lie at this end.",
        "share": "They lay in the hammock feet to feet and asked each other riddles.",
    },
    {
        "name": "seesaw",
        "both": "wanted the same end of the seesaw",
        "spoil": "both of them sat on the ground, and the seesaw did not move",
        "idea": "It only works with two of us!",
        "share": "Soon {hero} was up when {friend} was down, and {friend} was up when {hero} was down.",
    },
    {
        "name": "puzzle",
        "both": "wanted to finish the puzzle alone",
        "spoil": "all the pieces flew across the floor",
        "idea": "You can look for the edges, and I can look for the faces.",
        "share": "Piece by piece, they made a picture of a circus, and the last piece went in with a click.",
    },
)

RULES = """
quarrel:
- <quarrel friend> <quarrel fight> <quarrel apart>[2: <quarrel turn>|] <quarrel sorry> <quarrel share>

quarrel friend:
- {Hero} had a [good|dear] friend named {new friend}.
- {His} best friend was {new friend}, who lived next door.
- {Hero} and {his} friend {new friend} were like two peas in a pod.
- {Hero} often played with {his} friend {new friend}.

quarrel fight:
- <One day>, both of them {new shared.both}. <quarrel words> They pulled and pushed until {shared.spoil}.
- But <one day>, they both {new shared.both}. <quarrel words> In the end, {shared.spoil}.
- Then came a bad day, because they both {new shared.both}. <quarrel words> Neither would give in, and so
  {shared.spoil}.
- It started <one day>, when they both {new shared.both}. <quarrel words> They pulled this way and
  that way, and {shared.spoil}.

quarrel words:
- "It is my turn!" [shouted|cried] {hero}. "No, it is mine!" [shouted|cried] {friend}.
- "I was here first!" said {hero}. "You are always first!" said {friend}.
- "Go away!" yelled {hero}. "Go away yourself!" yelled {friend}.
- "I want it now!" cried {hero}. "You have to wait!" cried {friend}.
- "You never share," said {friend} angrily. "You are the one who never shares," {hero} answered.

quarrel apart:
- {Friend} turned red and walked away. {Hero} crossed {his} arms and did not look back.
- "I will never play with you again!" said {friend}, and {friend.he} stamped {friend.his} foot and left.
- "See what you have done!" they both said, and each of them went home alone.
- Without another word, {friend} went away, and {hero} was left behind.
- "You are not my friend anymore," said {friend}. {Hero} said nothing at all.

quarrel turn:
- But playing alone was no fun. {Hero} kept looking at the door.
- After a while, {hero} was not angry anymore. {He} was only lonely.
- {Hero} tried to play alone, but nobody laughed at {his} jokes.
- "What do you miss more," asked {hero}'s mother, "the {shared}, or {friend}?" {Hero} did not have to think for long.
- That evening, the house was very quiet. {Hero} thought about all the fun that the two of them had shared.
- "Who started it?" asked {hero}'s father. "I do not know," said {hero} in a small voice, "but I can end it."

quarrel sorry:
- [The next day|Before long], {hero} went to see {friend}. "I am sorry," {he} said. <quarrel answer>
- [In the end|The next morning], {hero} knocked on {friend}'s door, and {his} heart beat fast. "I should not have
  shouted," {he} said. <quarrel answer>
- Soon {hero} wanted to say sorry, and when {he} opened the door, there stood {friend}! "I was mean," {he}
  said. <quarrel answer>

quarrel answer:
- "I am sorry, too," said {friend}.
- "I missed you," answered {friend}. "The whole day was dull."
- {Friend} looked at the ground, and then {friend.he} smiled.
- "I was just on my way to tell you the same thing," said {friend}.
- {Friend} held out {friend.his} hand, and {hero} took it.

quarrel share:
- Then {friend} had an idea. "{shared.idea}" {shared.share}
- "I know what to do," said {hero}. "{shared.idea}" {shared.share}
- "Let us try it again," said {hero}. "{shared.idea}" And so they did. {shared.share}

quarrel end:
- From then on, they shared the {shared} and never fought about it again.
- "This is much better than having it alone," said {hero}, and {friend} [agreed|nodded].
- They had both learned that a friend is worth more than a {shared}.
- They laughed so much that their bellies hurt.
- And when they quarreled again, it never lasted longer than a minute.
- It is not hard to say sorry, {hero} thought. It is only hard to begin.
"""
