"""A birthday, no money, and a present made by hand: it goes wrong on the way and is loved all the same."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# work: how it is made. oops: what goes wrong. fix: how it is saved. used: what becomes of it.
gift = lexicon(
    "gift",
    {
        "name": "cake",
        "a": "a honey cake",
        "work": "stirred flour, eggs and honey in a big bowl",
        "oops": "the cake sank in the middle",
        "fix": "filled the hole with fresh berries",
        "used": "They ate it together to the very last crumb.",
    },
    {
        "name": "scarf",
        "a": "a woolen scarf",
        "work": "knitted row after row of soft green wool",
        "oops": "the wool was used up much too soon",
        "fix": "went on with red wool and blue wool and white wool",
        "used": "{Owner.he} wore it that very day, even at the table.",
    },
    {
        "name": "necklace",
        "a": "a necklace",
        "work": "threaded tiny shells on a string",
        "oops": "the string tore, and the shells rolled everywhere",
        "fix": "picked up every shell and took a stronger string",
        "used": "{Owner.he} put it on and turned around in front of the mirror.",
    },
    {
        "name": "picture",
        "a": "a picture",
        "work": "painted a house with the whole family in front of it",
        "oops": "a big drop of black paint fell on the roof",
        "fix": "turned the drop into a sleepy black cat",
        "used": "{Owner.he} hung it on the wall where everybody could see it.",
    },
    {
        "name": "puppet",
        "a": "a sock puppet",
        "work": "sewed two buttons on an old sock",
        "oops": "one of the eyes fell off and was lost",
        "fix": "gave the puppet a wink instead",
        "used": "{Owner.he} made it talk at breakfast with a very deep voice.",
    },
    {
        "name": "birdhouse",
        "a": "a birdhouse",
        "work": "sawed and hammered until {his} thumb was blue",
        "oops": "the door came out much too big",
        "fix": "nailed a smaller door over the big one",
        "used": "The very next week, a family of robins moved in.",
    },
    {
        "name": "cushion",
        "a": "a cushion",
        "work": "sewed two pieces of velvet together",
        "oops": "one seam burst, and feathers flew through the room like snow",
        "fix": "caught the feathers and closed the seam with big buttons",
        "used": "{Owner.he} never took a nap without it.",
    },
    {
        "name": "card",
        "a": "a card",
        "work": "cut a heart out of red paper",
        "oops": "the scissors slipped and cut the heart in half",
        "fix": "joined the halves with a ribbon, so that the heart could open and close",
        "used": "{Owner.he} kept it in a drawer with the most precious things.",
    },
    {
        "name": "soup",
        "a": "a pot of soup",
        "work": "chopped carrots, leeks and beans",
        "oops": "far too much salt fell into the pot",
        "fix": "added three potatoes and a lot of water",
        "used": "There was enough for everybody, and everybody wanted more.",
    },
    {
        "name": "boat",
        "a": "a little wooden boat",
        "work": "carved a boat out of a piece of bark",
        "oops": "the boat fell over as soon as it touched the water",
        "fix": "tied a flat stone under it to hold it straight",
        "used": "They let it sail in a tub of water that same evening.",
    },
    {
        "name": "bunch of flowers",
        "a": "a bunch of paper flowers",
        "work": "folded flowers out of old newspapers",
        "oops": "{he} saw that they all looked gray and sad",
        "fix": "painted every flower in a different color",
        "used": "{Owner.he} put them in a vase, where they bloomed all winter.",
    },
)

RULES = """
gift:
- <gift day> <gift money> <gift idea> <gift oops> <gift give> <gift used>

gift day:
- It was almost {new owner}'s birthday, and {hero} wanted to give {owner.him} something special.
- "Tomorrow is my birthday," said {new owner} <one day>. {Hero} wanted to find the best present in the world.
- <One day>, {hero} remembered that {new owner} would soon have a birthday.
- Only three days were left until {new owner}'s birthday, and {hero} did not have a present yet.

gift money:
- But there were only [two|three|four] coins in {his} money box.
- But {he} had no money, only a [button|marble|walnut] and a piece of string.
- {He} counted {his} coins. One, two, three. That was not enough for anything.
- {He} would have liked to buy a [silver watch|fine hat|big box of candy], but {his} pockets were empty.
- "What can I give, when I have nothing?" {he} wondered.

gift idea:
- Then {he} had an idea. "I will make {new gift.a}!" {He} {gift.work}.
- "I can make something myself," thought {hero}. "I will make {new gift.a}." In secret, {he} {gift.work}.
- "Why not make {new gift.a}?" thought {hero}. All afternoon, {he} {gift.work}.
- {He} sat down {place.near} to think. "I know! I will make {new gift.a}!" {he} said, and {he} {gift.work}.

gift oops:
- Everything went well, until {gift.oops}.[ <gift dismay>|] But then {he} {gift.fix}.
- But what was that? Oh dear, {gift.oops}![ <gift dismay>|] In the end, {he} {gift.fix}.
- {He} was nearly done when {gift.oops}.[ <gift dismay>|] Then {he} thought hard and {gift.fix}.

gift dismay:
- "Now it is ruined," sighed {hero}.
- {Hero} almost cried.
- "Start again?" {he} asked {himself}. There was no time for that.
- {He} sat very still for a while.
- "Why does this happen to me?" {he} asked.
- {Hero} bit {his} lip.

gift give:
- On the birthday, {hero} came in with [shining eyes|red cheeks]. "This is for you," {he} said.
- When the great day came, {hero} was so excited that {he} could hardly speak. "Happy birthday, {owner}!"
  {he} said at last.
- On the morning of the birthday, {hero} sang for {owner} and gave {owner.him} the present. "It is not
  perfect," {he} said.

gift used:
- "Did you make it yourself?" asked {owner}, and {owner.his} eyes shone. {gift.used}
- {Owner} did not say a word at first, because {owner.he} was so happy. {gift.used}
- {Owner} hugged {him} for a long time. {gift.used}
- "I have never had a better present," said {owner}. {gift.used}
- {Owner} laughed and clapped {owner.his} hands. "A {gift}, just for me!" {gift.used}

gift end:
- The best presents do not come from a shop.
- "You gave me your time," said {owner}, "and that is worth more than gold."
- And the part that had gone wrong was the part that {owner} liked best.
- {Hero} had never been so proud.
- "Will you show me how to make one?" asked {owner}. {Hero} nodded happily.
- It is just as nice to give something as to get something, {hero} thought.
"""
